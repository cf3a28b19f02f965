"""An import is asked for once and finished once."""

from services.inventory.domain.stock_import import AGGREGATE
from services.inventory.messages import (
    FinishImport,
    RequestImport,
    StockImportFinished,
    StockImportRequested,
)
from tests.unit.spec import given

REQUEST = RequestImport(job_id="job_1", sha256="ab", rows=3)
REQUESTED = StockImportRequested(job_id="job_1", sha256="ab", rows=3)
FINISH = FinishImport(job_id="job_1", succeeded=2, failed=1)
FINISHED = StockImportFinished(job_id="job_1", succeeded=2, failed=1)


def test_an_import_is_asked_for_once():
    given(AGGREGATE).when(REQUEST).then(REQUESTED)
    given(AGGREGATE, REQUESTED).when(REQUEST).then()
    given(AGGREGATE, REQUESTED, FINISHED).when(REQUEST).then()


def test_an_import_is_finished_once():
    given(AGGREGATE, REQUESTED).when(FINISH).then(FINISHED)
    given(AGGREGATE, REQUESTED, FINISHED).when(FINISH).then()


def test_what_was_not_asked_for_is_not_finished():
    given(AGGREGATE).when(FINISH).then()
