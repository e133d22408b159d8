"""Key sets of issuers, before Envoy gets them."""

import pytest

from qmq.errors import ConfigError
from qmq.server.key_sets import check_keys
from tests.transport.test_envoy_identity import Signer


def test_public_keys_are_taken() -> None:
    """As an issuer publishes them."""
    check_keys(Signer().jwks, "keys.json")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no JSON Web Key Set"),
        ("[]", "holds no JSON Web Key Set"),
        ('{"keys": [{}]}', "holds no JSON Web Key Set"),
        ('{"keys": []}', "has no key in it"),
        ('{"keys": [{"kty": "EC"}, {"kty": "oct", "k": "c2VjcmV0"}]}', "has a secret key in it"),
    ],
)
def test_what_would_check_nothing_or_too_much_is_refused(text: str, told: str) -> None:
    """A secret key that is also what tokens are made with is no key to check them by."""
    with pytest.raises(ConfigError, match=rf"^keys\.json {told}"):
        check_keys(text, "keys.json")
