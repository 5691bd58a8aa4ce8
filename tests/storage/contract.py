"""What a Store is. Whoever writes another one lets a test class inherit from this and offers the fixture `store`,
which is empty at the start of each test, and `age`, which moves the instants of a challenge's row back.
"""

from tests.storage.contract_arrivals import ArrivalContract
from tests.storage.contract_challenges import ChallengeContract, FactorContract
from tests.storage.contract_events import EventContract
from tests.storage.contract_links import LinkContract
from tests.storage.contract_outbox import OutboxContract
from tests.storage.contract_own import OwnContract
from tests.storage.contract_registrations import RegistrationContract
from tests.storage.contract_repairs import RepairContract
from tests.storage.contract_sessions import SessionContract
from tests.storage.contract_users import UserContract


class StoreContract(
    UserContract,
    SessionContract,
    ArrivalContract,
    OutboxContract,
    ChallengeContract,
    LinkContract,
    RegistrationContract,
    FactorContract,
    OwnContract,
    EventContract,
    RepairContract,
):
    """All facts. `now` is asked of the store itself, as on PostgreSQL it is the database's clock that counts."""
