# What the test steps share. Sourced by tests/run and by every file in tests/steps.

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ROOT=$(dirname "$TESTS")
WORK=$TESTS/.work
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
SKIP_STATUS=77
# The program under test; the integration tests and the drivers read the same variable.
export CORECAST_BIN=${CORECAST_BIN:-$TARGET/release/corecast}
export CARGO_TERM_COLOR=never PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
# A clean checkout is built once: what would make the next build faster costs time and room, and
# tables for debuggers, which nobody starts there, cost minutes.
if [[ ${CI:-} == true ]]; then
  export CARGO_INCREMENTAL=0
  export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_BENCH_DEBUG=0
fi
# What every step builds and tests: with other packages or features cargo builds everything anew.
# The feature lets a test panic in a shard's loop; the program has its own, release build.
EVERYTHING=(--locked --workspace --features corecast/fault-injection)
cd "$ROOT" || exit 1

# skip REASON: ends the step; the reason is shown in the closing table.
skip() {
  note "$*"
  echo "skipped: $*"
  exit "$SKIP_STATUS"
}

# note TEXT: a remark for the closing table.
note() {
  printf '%s\n' "$*" >"$WORK/result/$STEP.note"
}

# counts PASSED FAILED SKIPPED: what the step counted; without it a step counts as one.
counts() {
  printf '%d %d %d\n' "$1" "$2" "$3" >"$WORK/result/$STEP.counts"
}

# test_counts: `counts` from the log of `cargo test`, one "test result: " for each binary.
test_counts() {
  grep -E '^test result: ' "$WORK/log/$STEP.log" |
    awk '{ passed += $4; failed += $6; skipped += $8 }
      END { print passed + 0, failed + 0, skipped + 0 }' >"$WORK/result/$STEP.counts"
}

have() {
  command -v "$1" >/dev/null 2>&1
}

# need_command COMMAND PACKAGE...: installs the Debian packages when the command is missing.
need_command() {
  local command=$1
  shift
  have "$command" && return 0
  install_packages "$@" && have "$command" && return 0
  skip "$command is missing and could not be installed (Debian packages: $*)"
}

install_packages() {
  have apt-get || return 1
  local as_root=()
  if [[ $(id -u) != 0 ]]; then
    sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n)
  fi
  ${as_root[@]+"${as_root[@]}"} apt-get update -q &&
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "$@"
}

# need_server: the program under test, built when missing.
need_server() {
  [[ -x $CORECAST_BIN ]] && return 0
  cargo build --locked --release -p corecast-server || exit 1
  [[ -x $CORECAST_BIN ]] || { echo "no program at CORECAST_BIN=$CORECAST_BIN"; exit 1; }
}

# python3_env DIR REQUIREMENTS: a virtual environment with exactly these packages, made once.
python3_env() {
  local dir=$1 requirements=$2
  cmp -s "$requirements" "$dir/installed.txt" && return 0
  need_command python3 python3 python3-venv
  rm -rf "$dir"
  python3 -m venv "$dir" || { install_packages python3-venv && python3 -m venv "$dir"; } ||
    skip "python3 -m venv does not work here"
  "$dir/bin/pip" install -q -r "$requirements" || skip "pip could not install $requirements"
  cp "$requirements" "$dir/installed.txt"
}

# find_python2: prints the path of a Python 2.7.
find_python2() {
  local candidate
  for candidate in "${PYTHON2:-}" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7 \
    "$HOME"/.pyenv/versions/2.7*/bin/python2.7 "$(command -v python2.7)" "$(command -v python2)"; do
    if [[ -x $candidate ]] && is_python2 "$candidate"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}

is_python2() {
  "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1
}
