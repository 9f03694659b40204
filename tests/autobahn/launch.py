"""`wstest`, for a Python 2.7 whose own SHA-1 is slow: over a third of the suite's time is hashing.

A Python that was built without OpenSSL falls back to plain C, at 120 MB/s; the suite hashes each
message of groups 12 and 13 twice, 20 GB in all. Here OpenSSL does it, as elsewhere.
"""

import binascii
import hashlib

from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes

# Below that the call costs more than the hashing.
SHORT_BYTES = 4096

plain_sha1 = hashlib.sha1


class Sha1(object):
    def __init__(self, data=b""):
        self.parts = [data]

    def update(self, data):
        self.parts.append(data)

    def digest(self):
        data = b"".join(self.parts)
        if len(data) < SHORT_BYTES:
            return plain_sha1(data).digest()
        hasher = hashes.Hash(hashes.SHA1(), backend=default_backend())
        hasher.update(data)
        return hasher.finalize()

    def hexdigest(self):
        return binascii.hexlify(self.digest())


def main():
    try:
        import _hashlib  # noqa: F401
    except ImportError:
        hashlib.sha1 = Sha1
    from autobahntestsuite import wstest
    wstest.run()


if __name__ == "__main__":
    main()
