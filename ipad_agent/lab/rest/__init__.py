"""The northbound REST API of the lab's eIM, and a page that shows it live; what it offers says ``openapi.json``.

It imports the eIM and the lab's HTTP server, and leaves by ``RestServer``. Loopback only, for whoever may log in here.
"""
