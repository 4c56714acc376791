"""Whatever takes `n_jobs` gives the same on the workers of Ray as on one job."""

import os
import warnings

import joblib
import pytest
from threadpoolctl import threadpool_limits

from skrmt.utils._compare import assert_same
from tests.test_n_jobs import CASES

ray = pytest.importorskip("ray")

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]

NAMES = ["TensorDeflation", "cka_test", "quadratic_assignment"]
"""Of an estimator and of functions: every task of joblib takes the same way to a worker."""


@pytest.fixture(scope="module")
def workers():
    """Start two workers on this machine, and make them a backend of joblib."""
    from ray.util.joblib import register_ray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=80 * 2**20,
        )
        register_ray()
        yield
        ray.shutdown()


def process(number):
    """Return the process in which a task runs."""
    return os.getpid()


@pytest.mark.parametrize("name", NAMES)
def test_the_result_is_that_of_one_job(name, workers):
    with threadpool_limits(1):
        expected = CASES[name](1)
    with joblib.parallel_config("ray", n_jobs=2):
        found = CASES[name](None)
    assert_same(found, expected, what=name)


def test_the_workers_do_the_work(workers):
    with joblib.parallel_config("ray", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(process)(number) for number in range(8))
    assert os.getpid() not in found
