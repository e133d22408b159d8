"""JSON Web Key Sets, looked at before Envoy gets them: it would say less of what is wrong."""

import json

from qmq.errors import ConfigError


def check_keys(text: str, where: str) -> None:
    """Refuse what is no key set, or one with which tokens could be made as well as checked.

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
