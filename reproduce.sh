#!/usr/bin/env bash
# One command per experiment: makes .venv in the checkout on the first call, then runs alad in it.
set -euo pipefail
unset CDPATH PYTHONHOME PYTHONPATH

usage() {
    cat <<'EOF'
Usage: ./reproduce.sh NAME [options]

  kdd99, arrhythmia, svhn, cifar10, toy
            alad reproduce NAME [options]; toy needs no data (./reproduce.sh NAME --help: the options)
  tables    alad tables [options]: Tables II to VIII and their figures from the results so far, beside the paper's;
            with --budget HOURS it first makes runs that are missing
  test      the tests; the options go to pytest

The first call makes .venv in the checkout: about 600 MB to download and 2.5 GB on disk, once.
It takes the first of python3.11, python3.10, python3.9, python3, python that is a Python 3.9, 3.10 or 3.11,
then uv; ALAD_PYTHON=/path/to/python chooses another.
EOF
}

say() { printf 'reproduce.sh: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

# The directory of this file, also when it is called through a symbolic link.
checkout() {
    local file=${BASH_SOURCE[0]} target
    while [ -L "$file" ]; do
        target=$(readlink "$file")
        case $target in
            /*) file=$target ;;
            *) file=$(dirname "$file")/$target ;;
        esac
    done
    cd "$(dirname "$file")" && pwd -P
}

# ---------------------------------------------------------------------------------------------- which Python

# The version of interpreter $1, or nothing when it does not run (pyenv puts commands on the PATH that do not).
version_of() {
    "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null </dev/null || true
}

supported() {
    case $1 in
        3.9.* | 3.10.* | 3.11.*) return 0 ;;
        *) return 1 ;;
    esac
}

makes_environments() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 </dev/null; }

cannot_make() { echo "Python $2 ($1) cannot make virtual environments (Debian, Ubuntu: apt install python${2%.*}-venv)"; }

# Prints the interpreter to make .venv with, or the word uv.
find_python() {
    local name path version rejected=""
    if [ -n "${ALAD_PYTHON:-}" ]; then
        version=$(version_of "$ALAD_PYTHON")
        supported "$version" || fail "Expected ALAD_PYTHON to be a Python 3.9, 3.10 or 3.11." \
            "Received: $ALAD_PYTHON (${version:-it does not run})."
        makes_environments "$ALAD_PYTHON" || fail "$(cannot_make "$ALAD_PYTHON" "$version")."
        echo "$ALAD_PYTHON"
        return
    fi
    for name in python3.11 python3.10 python3.9 python3 python; do
        while IFS= read -r path; do
            version=$(version_of "$path")
            if supported "$version"; then
                if makes_environments "$path"; then
                    echo "$path"
                    return
                fi
                say "$(cannot_make "$path" "$version"); trying the next one."
            fi
            rejected="$rejected, $path (${version:-does not run})"
        done < <(type -aP "$name")
    done
    if uv --version >/dev/null 2>&1; then
        echo uv
        return
    fi
    rejected=${rejected#, }
    fail "Expected a Python 3.9, 3.10 or 3.11, or uv, on the PATH. Received: ${rejected:-no Python at all}." \
        "Install one, or name one: ALAD_PYTHON=/path/to/python ./reproduce.sh ..."
}

# ---------------------------------------------------------------------------------------------- .venv

lock_file() { # base|test VERSION
    local minor=${2#3.}
    case $1 in
        base) echo "$root/requirements/lock-py3${minor%%.*}.txt" ;;
        test) echo "$root/requirements/lock-test-py3${minor%%.*}.txt" ;;
    esac
}

stamp_file() { echo "$venv/reproduce-$1.stamp"; }

# What an installation depends on: written when it is complete, compared at every later call.
stamp() { # base|test VERSION
    printf 'checkout %s\npython %s\nlock %s\n' "$root" "$2" "$(cksum <"$(lock_file "$1" "$2")")"
}

# The packages of lock file $1 that are not in .venv at their locked version.
missing_packages() {
    local normal='y/ABCDEFGHIJKLMNOPQRSTUVWXYZ.-/abcdefghijklmnopqrstuvwxyz__/'
    sed -n 's/^\([A-Za-z0-9][^=]*\)==/\1-/p' "$1" | sed "s/\$/.dist-info/; $normal" |
        grep -vxF -f <(find "$venv/lib" -path '*/site-packages/*' -prune -name '*.dist-info' 2>/dev/null |
            sed "s|.*/||; $normal") || true
}

# Why the part base|test of .venv cannot be used as it is; nothing when it can.
fault() {
    local version
    [ -e "$venv" ] || [ -L "$venv" ] || { echo "there is none yet" && return; }
    [ -f "$(stamp_file "$1")" ] || { echo "its installation did not finish" && return; }
    version=$(version_of "$venv/bin/python")
    supported "$version" || { echo "its Python does not run" && return; }
    [ "$(version_of "${ALAD_PYTHON:-$venv/bin/python}")" = "$version" ] || { echo "ALAD_PYTHON is another Python" && return; }
    [ "$(cat "$(stamp_file "$1")")" = "$(stamp "$1" "$version")" ] ||
        { echo "the lock file, the Python or the place of the checkout has changed" && return; }
    [ -x "$venv/bin/alad" ] && [ -z "$(missing_packages "$(lock_file "$1" "$version")")" ] ||
        echo "packages are missing from it or have other versions"
}

pip_install() {
    "$venv/bin/python" -m pip --disable-pip-version-check --log "$venv/pip.log" install "$@" ||
        fail "The installation into .venv failed (is there a network, and room on the disk?); pip's log: $venv/pip.log"
}

write_stamp() {
    stamp "$1" "$2" >"$venv/stamp.new"
    mv "$venv/stamp.new" "$(stamp_file "$1")"
}

make_venv() { # WHY
    local python version lock
    python=$(find_python)
    say "making $venv with $python: $1"
    rm -f "$(stamp_file base)" "$(stamp_file test)"
    rm -rf "$venv"
    if [ "$python" = uv ]; then
        uv venv --seed --python 3.11 "$venv" || fail "uv could not make .venv with Python 3.11."
    else
        "$python" -m venv "$venv" || fail "$python could not make $venv."
    fi
    version=$(version_of "$venv/bin/python")
    supported "$version" || fail "Expected .venv to hold a Python 3.9, 3.10 or 3.11. Received: ${version:-one that does not run}."
    lock=$(lock_file base "$version")
    say "installing the locked packages for Python $version: about 600 MB to download, once"
    # The build tools come first, so that what has no wheel is built with locked ones.
    # shellcheck disable=SC2046  # two words are meant
    pip_install 'pip>=23' $(grep -E '^(setuptools|wheel)==' "$lock")
    pip_install --no-build-isolation --use-pep517 -r "$lock"
    pip_install --no-build-isolation --use-pep517 --no-deps -e "$root"
    write_stamp base "$version"
}

install_test_tools() {
    local version
    version=$(version_of "$venv/bin/python")
    say "installing what the tests need: about 200 MB to download, once"
    pip_install -r "$(lock_file test "$version")"
    write_stamp test "$version"
}

# Brings the parts base and test of .venv, as named, up to date.
prepare() {
    local part reason
    for part in "$@"; do
        reason=$(fault "$part")
        if [ -n "$reason" ]; then
            case $part in
                base) make_venv "$reason" ;;
                test) install_test_tools ;;
            esac
        fi
    done
}

ready() {
    local part
    for part in "$@"; do
        [ -z "$(fault "$part")" ] || return 1
    done
}

# Runs "$@" while no other call does. Without flock the lock is a symbolic link to the number of its owner's process.
alone() (
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$venv.lock"
        flock -n 9 || { say "another call is making .venv: waiting for it" && flock 9; }
    else
        while ! ln -sn "$$" "$venv.owner" 2>/dev/null; do
            owner=$(readlink "$venv.owner" || true)
            if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
                rm -f "$venv.owner"
            else
                [ -n "${waiting:-}" ] || say "another call is making .venv: waiting for it"
                waiting=yes
                sleep 1
            fi
        done
        trap 'rm -f "$venv.owner"' EXIT
    fi
    "$@"
)

# ---------------------------------------------------------------------------------------------- the call

case ${1:-} in
    -h | --help) usage && exit 0 ;;
    "") usage >&2 && exit 2 ;;
    kdd99 | arrhythmia | svhn | cifar10 | toy | tables | test) ;;
    *)
        say "Expected an experiment first. Received: $1. Allowed: kdd99, arrhythmia, svhn, cifar10, toy, tables, test."
        exit 2
        ;;
esac
name=$1
shift

root=$(checkout)
venv=$root/.venv
parts=(base)
[ "$name" != test ] || parts+=(test)
if ! ready "${parts[@]}"; then
    [ -w "$root" ] || fail "Expected a checkout that can be written to, for .venv. Received: $root."
    alone prepare "${parts[@]}" >&2
fi

case $name in
    test)
        cd "$root"
        exec "$venv/bin/python" -m pytest "$@"
        ;;
    tables) exec "$venv/bin/alad" tables "$@" ;;
    *) exec "$venv/bin/alad" reproduce "$name" "$@" ;;
esac
