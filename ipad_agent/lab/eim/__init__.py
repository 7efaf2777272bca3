"""The lab's eIM: ESipa over CoAP and DTLS, with the switches a test needs."""
