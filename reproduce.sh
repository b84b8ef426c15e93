#!/usr/bin/env bash
# Usage: ./reproduce.sh [--stack paper|current] NAME [options]
#   kdd99, arrhythmia, svhn, cifar10, toy
#             alad reproduce NAME [options]; ./reproduce.sh NAME --help lists the options
#   tables    alad tables [options]: Tables II to VIII and their figures from the results so far, beside the paper's;
#             with --budget HOURS it first does missing runs
#   test      the tests, on all cores; options are passed to pytest, --slow: include slow tests, -n 0: in one process
# The first call creates .venv in the checkout: about 600 MB of downloads and 2.5 GB on disk. It holds the paper stack
# (TensorFlow 2.15, Python 3.9 to 3.11) if uv finds or downloads such a Python, or else the current stack (TensorFlow 2.21,
# Python 3.12 or 3.13). ALAD_PYTHON=/path/to/python chooses; --stack current creates .venv-current. See docs/install.md.
set -euo pipefail && unset CDPATH PYTHONHOME PYTHONPATH code
root=$(readlink -f "${BASH_SOURCE[0]}") root=${root%/*} venv=$root/.venv lock=$root/requirements/lock.txt
pythons=(">=3.9,<3.12" ">=3.12,<3.14") named="3.9 to 3.13" minors="9|10|11|12|13" # the paper stack first
usage() { sed -n '/^# Usage/,/^set/s/^# \{0,1\}//p' "$root/reproduce.sh"; }
say() { printf 'reproduce.sh: %s\n' "$*" >&2; } && fail() { say "$@" && exit "${code:-1}"; }
try() { # COMMAND: runs it without output; on failure, sets message to the innermost cause
    message=$("$@" 2>&1) || { message=${message%%$'\n\n'*} message=${message##*$'\n'} message=${message##*cause: } && false; }
}
ready() { # base|test: whether this part was installed here from this lock file, for the stack, and with ALAD_PYTHON if set
    [[ -x $venv/bin/python && -x $venv/bin/alad ]] &&
        [[ $(cat "$venv"/{"$1.stamp",pyvenv.cfg} 2>/dev/null) =~ ^"$stamp"$'\n'.*\ 3\.($minors)\. ]]; }
find_uv() { # sets uv to the one on the PATH, or else to the locked version, installed into .venv-uv
    for uv in uv "$root/.venv-uv/bin/uv"; do "$uv" venv --clear --help &>/dev/null && return; done
    say "installing uv into .venv-uv"
    { try "${ALAD_PYTHON:-python3}" -m venv --clear "$root/.venv-uv" && try "$root/.venv-uv/bin/python" -m pip install \
        --quiet --disable-pip-version-check --require-hashes -r <(grep ^uv== "$lock"); } ||
        fail "Expected uv, or Python 3.8 or newer with venv and a network to install uv. Received: $message"
}
install() { # OPTIONS: installs the locked packages, then alad_tf if it is not; the full path must not contain line breaks
    set -- "$@" --python "$venv" --build-constraints "$lock" --compile-bytecode
    "$uv" pip install "$@" --require-hashes -r <(sed "/^# end of $part/q" "$lock") &&
        { ready base || "$uv" --directory "$root" pip install "$@" --no-deps --editable .; }; }
prepare() ( # creates the requested part of the environment, one call at a time
    exec 9>"$venv.lock" # macOS has perl but no flock
    lock() { flock "$@" 9 || perl -e 'use Fcntl ":flock"; open F, ">&=9"; flock F, LOCK_EX | (@ARGV && 4) or die' -- "$@"; }
    lock -n 2>/dev/null || { say "waiting until no other call makes ${venv##*/}" && lock 2>/dev/null; } ||
        fail "Expected flock or perl, and a file system that can lock ${venv##*/}.lock."
    ! ready "$part" || exit 0
    [ -z "${ALAD_PYTHON:-}" ] || try "$ALAD_PYTHON" -c 'import platform; print(platform.python_version())' || :
    [[ -z ${ALAD_PYTHON:-} || $message =~ ^3\.($minors)\. ]] || # with no ALAD_PYTHON uv chooses
        fail "Expected ALAD_PYTHON to be a Python $named. Received: $ALAD_PYTHON (${message##*: })."
    for name in "${!PIP_@}" "${!UV_@}"; do # the caller's variables only affect downloads, which are verified by hashes
        [[ $name =~ INDEX|LINKS|CERT|TLS|PROXY|TIMEOUT|CACHE|OFFLINE|UV_PYTHON_ ]] || unset "$name"; done
    export UV_NO_CONFIG=1 && find_uv && [ -f "$venv/pyvenv.cfg" ] || rm -rf "$venv" # uv does not clear such a folder
    ready base || for name in "${ALAD_PYTHON:-${pythons[@]}}"; do try "$uv" venv -qc -p "$name" "$venv" && break; done ||
        fail "Expected uv to find or download a Python $named. Received: $message"
    ready base || rm -f "$venv"/*.stamp
    if ! install --quiet --offline 2>/dev/null; then # uv lacks packages in its cache
        name=$("$venv/bin/python" -V) && [[ $name == *3.1[23].* ]] && name="$name: current stack" || name="$name: paper stack"
        say "installing the locked packages into ${venv##*/} with $name"
        UV_HTTP_RETRIES=0 try "$uv" pip compile --quiet --refresh --no-deps - <<<setuptools ||
            fail "Expected a network: the first call downloads about 600 MB of packages. Received: $message"
        install || fail "uv could not install the packages and says why above. The same command starts anew."
    fi
    for name in base "$part"; do printf '%s\n' "$stamp" >"$venv/$name.stamp"; done )
case "${1:-} ${2:-}" in
    "--stack paper") pythons=("${pythons[0]}") named="3.9, 3.10 or 3.11" minors="9|10|11" && shift 2 ;;
    "--stack current") pythons=("${pythons[1]}") named="3.12 or 3.13" minors="12|13" venv=$root/.venv-current && shift 2 ;;
    --stack*) code=2 fail "Expected --stack paper or --stack current. Received: $*." ;;
esac
case ${1:-} in
    -h | --help) usage && exit ;;
    "") usage >&2 && exit 2 ;;
    kdd99 | arrhythmia | svhn | cifar10 | toy | tables | test) ;;
    *) code=2 fail "Expected kdd99, arrhythmia, svhn, cifar10, toy, tables or test. Received: $1." ;;
esac
stamp=$root$'\n'$(cksum <"$lock")${ALAD_PYTHON:+$'\n'$ALAD_PYTHON}
part=base && [ "$1" != test ] || part="test"; ready "$part" || prepare >&2
[ "$1" != test ] || { cd "$root" && exec "$venv/bin/python" -m pytest -n auto --dist loadfile --durations 20 "${@:2}"; }
[ "$1" = tables ] || set -- reproduce "$@" && exec "$venv/bin/alad" "$@"
