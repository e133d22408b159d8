"""JSON Web Key Sets, checked before Envoy gets them: it would say less about a fault."""

import json

from qmq.errors import ConfigError


def check_keys(text: str, where: str) -> None:
    """Refuse a text that is no key set, or one with keys that could also make tokens.

    Args:
        text: the key set.
        where: the file, for the message.

    Raises:
        ConfigError: Envoy would not take it, or should not; the message says why.
    """
    try:
        kinds = {key["kty"] for key in json.loads(text)["keys"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f'{where} holds no JSON Web Key Set, which begins with {{"keys": [{{"kty": '
        ) from error
    if not kinds:
        raise ConfigError(f"{where} has no key in it, so that nobody's token would do")
    if "oct" in kinds:
        raise ConfigError(
            f"{where} has a secret key in it (kty oct): who checks tokens with one could make them,"
            " too; take an issuer that signs with RSA or on an elliptic curve"
        )
