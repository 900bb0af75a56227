"""Where the hub keeps secrets that it is given: tokens of `hub login`, values of `hub secret set`.

In the keyring of the system where there is one, else encrypted in a file of the state folder.
"""

from hub.secret_store.store import Place, SecretStore, SecretStoreError

__all__ = ["Place", "SecretStore", "SecretStoreError"]
