#!/usr/bin/env bash
# Write lock.txt from setup.cfg: one line per package, first what alad_tf needs, then the tools for tests and docs.
# Locked versions stay where setup.cfg allows it; --upgrade takes the newest ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() { # FILE OPTIONS: the resolution for all supported Pythons and platforms, one line per package
    cp requirements/lock.txt "$work/$1" # uv prefers the versions that it finds in its output file
    uv pip compile --quiet --no-config --universal --python-version 3.9 --generate-hashes --no-annotate --no-header \
        --output-file "$work/$1" "${@:2}" setup.cfg
    sed -e ':joined' -e '/\\$/N' -e 's/ *\\\n */ /' -e 't joined' "$work/$1" >"$work/$1.lines"
}

compile base "$@"
compile all "$@" --extra test --extra docs --constraints "$work/base"
{
    echo "# Written by requirements/lock.sh from setup.cfg: what alad_tf needs, then the tools for tests and docs."
    cat "$work/base.lines"
    echo "# end of base"
    grep -vxFf "$work/base.lines" "$work/all.lines"
    echo "# end of test"
} >"$work/lock.txt"
cp "$work/lock.txt" requirements/lock.txt
