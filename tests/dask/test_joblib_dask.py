"""Whatever takes `n_jobs` gives the same on the workers of Dask as on one job."""

import joblib
import pytest
from threadpoolctl import threadpool_limits

from skrmt.utils._compare import assert_same
from tests.test_n_jobs import CASES

pytest.importorskip("distributed")


@pytest.mark.parametrize("name", CASES)
def test_the_result_is_that_of_one_job(name, cluster):
    with threadpool_limits(1):
        expected = CASES[name](1)
    with joblib.parallel_config("dask"):
        found = CASES[name](None)
    assert_same(found, expected, what=name)


def test_the_workers_do_the_work(cluster):
    """Joblib's backend of Dask sends every task to the cluster."""
    before = sum(cluster.run(_tasks_done).values())
    with joblib.parallel_config("dask"):
        CASES["quadratic_assignment"](None)
    assert sum(cluster.run(_tasks_done).values()) - before >= 2


def _tasks_done(dask_worker):
    """Return the number of tasks that a worker has computed."""
    return dask_worker.state.executed_count
