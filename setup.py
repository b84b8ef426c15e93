"""Packages and their data; all else is declared in setup.cfg."""

from setuptools import find_packages, setup

PUBLISHED = "alad_tf.published"  # in an installed package; in the checkout this folder is results/published

setup(
    packages=[*find_packages(include=["alad_tf*", "architectures*"]), PUBLISHED],
    package_dir={PUBLISHED: "results/published"},
    package_data={"alad_tf": ["py.typed", "report/page.html"], PUBLISHED: ["**/*.json", "**/*.jsonl"]},
)
