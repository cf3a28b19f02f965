"""Stock files: a job beside the log, row by row, that may be cut off anywhere."""

import threading
from itertools import count
from pathlib import Path

import pytest

from services.inventory.messages import (
    BlockRepriced,
    NumberBlockStocked,
    StockImportFinished,
    StockImportRequested,
    WithdrawBlock,
)
from shared.errors import NotAllowed, NotFound, Unprocessable
from tests.integration.inventory.crashes import KillSwitch, dies
from tests.integration.inventory.shop import Shop, stocked
from tests.unit.inventory.test_stock_file import HEADER, file, line

OWN_STOCK = (Path(__file__).resolve().parents[3] / "deploy/data/stock.csv").read_text()


def run(shop, csv, key=""):
    """Imports a file; answers the job when all is done."""
    job_id = shop.staff("import_stock", key=key, csv=csv)["job_id"]
    shop.world.settle()
    return shop.staff("get_job", job_id=job_id)


def codes(job):
    return {row["line"]: row["code"] for row in job["rows"]}


def block(n, **more):
    return line(**({"first_number": f"+1212555{n:04d}", "count": "10"} | more))


def head(shop):
    return shop.world.log.head()


def test_the_projects_own_stock_is_loaded_and_loaded_again_without_a_new_event(shop):
    job = run(shop, OWN_STOCK)

    assert (job["status"], job["total"], job["succeeded"], job["failed"]) == ("done", 1140, 1140, 0)
    assert set(codes(job).values()) == {"stocked"}
    assert stocked(shop) == 114_000
    assert [c["code"] for c in shop.call("list_countries")] == ["AU", "CA", "DE", "FR", "GB", "US"]
    assert shop.rows_and_streams() == (0, 0)
    before = len(shop.world.messages(NumberBlockStocked, BlockRepriced))

    again = run(shop, OWN_STOCK)

    assert (again["status"], again["succeeded"], again["failed"]) == ("done", 1140, 0)
    assert set(codes(again).values()) == {"unchanged"}
    assert len(shop.world.messages(NumberBlockStocked, BlockRepriced)) == before
    assert again["id"] != job["id"]
    dearer = OWN_STOCK.replace(",USD,60/1", ",USD,30/6")
    repriced = run(shop, dearer)
    changed = sum("USD,60/1" in text for text in OWN_STOCK.splitlines())
    assert list(codes(repriced).values()).count("repriced") == changed > 100
    assert len(shop.world.messages(BlockRepriced)) == changed
    shop.assert_counts()


def test_the_same_request_is_the_same_job(shop):
    first = shop.staff("import_stock", key="k1", csv=file(block(100)))
    shop.world.settle()

    again = shop.staff("import_stock", key="k1", csv=file(block(100)))
    shop.world.settle()

    assert again == first
    assert len(shop.world.messages(StockImportRequested)) == 1


def test_bad_rows_are_named_and_good_rows_load(shop):
    shop.stock("+12125550000", 10)
    text = file(
        block(0, setup_fee="0.50", monthly_fee="1.00", per_minute="0.01"),
        line(first_number="+12125550005", count="10"),
        block(100),
        line(first_number="+12125550109", count="1"),
        block(100, monthly_fee="9.99"),
        block(200, country="CA"),
        block(300, count="0"),
        "too,few",
        block(400),
        line(first_number="+12125550100", count="20"),
    )

    job = run(shop, text)

    assert codes(job) == {
        2: "unchanged",
        3: "block_overlap",
        4: "stocked",
        5: "block_overlap",
        6: "repriced",
        7: "country_mismatch",
        8: "invalid_value",
        9: "invalid_value",
        10: "stocked",
        11: "block_overlap",
    }
    assert (job["total"], job["succeeded"], job["failed"]) == (10, 4, 6)
    details = {row["line"]: row["detail"] for row in job["rows"]}
    assert details[3] == "+12125550005 to +12125550014 overlaps +12125550000 to +12125550009."
    assert details[10] == ""
    (finished,) = shop.world.messages(StockImportFinished)
    assert (finished.succeeded, finished.failed) == (4, 6)
    shop.assert_counts()


def test_a_block_may_not_lie_around_or_inside_another(shop):
    shop.stock("+12125550100", 100)

    job = run(
        shop,
        file(
            line(first_number="+12125550000", count="1000"),
            line(first_number="+12125550150", count="1"),
            line(first_number="+12125550000", count="100"),
            line(first_number="+12125550200", count="100"),
        ),
    )

    assert list(codes(job).values()) == ["block_overlap", "block_overlap", "stocked", "stocked"]


def test_a_withdrawn_block_keeps_its_place(shop):
    shop.stock("+12125550100", 100)
    shop.world.execute(WithdrawBlock(block_id="+12125550100", reason="returned"))
    shop.world.settle()

    job = run(shop, file(line(first_number="+12125550150", count="10"), line()))

    assert codes(job) == {2: "block_overlap", 3: "stocked"}


def test_a_file_sees_the_blocks_of_the_file_before_it(shop):
    one = shop.staff("import_stock", csv=file(block(100)))["job_id"]
    two = shop.staff("import_stock", csv=file(line(first_number="+12125550105", count="10")))
    shop.world.settle()

    assert codes(shop.staff("get_job", job_id=one)) == {2: "stocked"}
    assert codes(shop.staff("get_job", job_id=two["job_id"])) == {2: "block_overlap"}


def test_a_file_waits_until_the_view_knows_the_blocks_of_the_file_before_it(shop):
    shop.staff("import_stock", csv=file(block(100)))
    two = shop.staff("import_stock", csv=file(line(first_number="+12125550105", count="10")))
    shop.world.engine.settle()
    worker = shop.world.worker("inventory")
    assert worker.step()

    assert worker.step()  # It waits for the view, which nobody steps, and gives up for now.

    assert shop.staff("get_job", job_id=two["job_id"])["status"] == "queued"
    shop.clock.forward(seconds=2)
    shop.world.settle()
    assert codes(shop.staff("get_job", job_id=two["job_id"])) == {2: "block_overlap"}


def test_two_files_at_once_by_threads_do_not_overlap(shop):
    shop.world.assembly.start()
    files = [file(*(block(n * 20 + shift) for n in range(100))) for shift in (0, 5)]
    finished = threading.Event()
    jobs = [shop.staff("import_stock", csv=text)["job_id"] for text in files]

    def done():
        found = [shop.staff("get_job", job_id=job) for job in jobs]
        return all(job["status"] == "done" for job in found)

    for _ in range(600):
        if done():
            break
        finished.wait(0.05)
    results = [list(codes(shop.staff("get_job", job_id=job)).values()) for job in jobs]
    shop.world.engine.stop(10)
    for pool in shop.world.assembly.works.pools:
        pool.stop(10)
    shop.world.settle()

    assert sorted(results, key=str) == [["block_overlap"] * 100, ["stocked"] * 100]
    shop.assert_counts()


@pytest.mark.parametrize(
    ("csv", "code"),
    [("", "csv_empty"), (HEADER, "csv_empty"), ("a,b\n1,2", "csv_header_wrong")],
)
def test_what_is_no_stock_file_is_no_job(shop, csv, code):
    with pytest.raises(Unprocessable, match=code):
        shop.staff("import_stock", csv=csv)
    assert shop.world.messages(StockImportRequested) == []


def test_imports_are_for_staff(shop):
    job = run(shop, file(block(100)))

    with pytest.raises(NotAllowed, match="staff_only"):
        shop.call("import_stock", csv=file(block(100)))
    for caller in (shop.call, shop.staff):
        with pytest.raises(NotFound, match="job_unknown"):
            caller("get_job", job_id=job["id"] if caller == shop.call else "job_x")


def test_a_job_waits_until_a_worker_has_it(shop):
    job_id = shop.staff("import_stock", csv=file(block(100), block(200)))["job_id"]

    job = shop.staff("get_job", job_id=job_id)

    assert (job["status"], job["total"], job["succeeded"], job["rows"]) == ("queued", 2, 0, [])


def test_progress_can_be_watched(shop):
    text = file(*(block(n * 10) for n in range(450)))
    job_id = shop.staff("import_stock", csv=text)["job_id"]
    append, seen = shop.world.log.append_batch, []

    def watch(entries):
        job = shop.staff("get_job", job_id=job_id)
        seen.append((job["status"], job["total"], job["succeeded"]))
        return append(entries)

    shop.world.log.append_batch = watch
    shop.world.settle()

    assert seen[:3] == [("running", 450, 0), ("running", 450, 200), ("running", 450, 400)]
    assert shop.staff("get_job", job_id=job_id)["status"] == "done"


@pytest.mark.parametrize("written", [False, True])
def test_an_import_that_is_cut_off_anywhere_is_taken_up_again(shop, written):
    """Every try gets one append further, until one gets through."""
    rows = [block(n * 10) for n in range(450)]
    rows[7] = rows[3]  # Unchanged, also when it is run again.
    rows[300] = block(50, monthly_fee="2.22")
    job_id = shop.staff("import_stock", csv=file(*rows))["job_id"]

    for n in count(1):
        KillSwitch(shop.world, n, written=written)
        died = dies(shop.world.settle)
        shop = Shop(shop.world.restart())
        if not died:
            break
    assert n >= 3
    shop.world.settle()

    job = shop.staff("get_job", job_id=job_id)
    assert (job["status"], job["total"], job["succeeded"]) == ("done", 450, 450)
    results = list(codes(job).values())
    assert (results.count("stocked"), results[7], results[300]) == (448, "unchanged", "repriced")
    assert len(shop.world.messages(NumberBlockStocked)) == 448
    assert len(shop.world.messages(BlockRepriced)) == 1
    assert len(shop.world.messages(StockImportFinished)) == 1
    shop.assert_counts()
    shop.world.close()
