"""What a Store is. Whoever writes another one lets a test class inherit from this and offers the fixture `store`,
which is empty at the start of each test.
"""

from tests.storage.contract_sessions import SessionContract
from tests.storage.contract_users import UserContract


class StoreContract(UserContract, SessionContract):
    """All facts. `now` is asked of the store itself, as on PostgreSQL it is the database's clock that counts."""
