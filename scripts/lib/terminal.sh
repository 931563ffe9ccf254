# shellcheck shell=sh
# How the scripts talk: messages on stderr, with the seconds since the start; the noise of a step goes to a log and is shown when it fails.
# Expects: $started (seconds), $logs (a folder).

seconds() { echo $(($(date +%s) - ${started:?})); }

say() { printf '[%4ss] %s\n' "$(seconds)" "$*" >&2; }

# give_up MESSAGE NEXT_STEP
give_up() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  [ -z "${2:-}" ] || printf '  next: %s\n' "$2" >&2
  exit 1
}

give_up_with_log() {
  printf '%s: failed; the last lines of %s:\n' "$(basename "$0")" "${logs:?}/$1" >&2
  tail -n 25 "$logs/$1" | sed 's/^/  | /' >&2
  exit 1
}

# A process and all below it: a background job of a script does not hear Ctrl-C by itself. Each is halted first, so that none begins another.
kill_tree() {
  kill -STOP "$1" 2>/dev/null || return 0
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null || pgrep -P "$1" 2>/dev/null); do kill_tree "$child"; done
  kill "$1" 2>/dev/null || true
  kill -CONT "$1" 2>/dev/null || true
}

# What a step said last, without the colours; it may be silent for long.
last_line() {
  line=$(tail -n 5 "$1" | sed "s/$(printf '\033')\[[0-9;]*[A-Za-z]//g; /^[[:space:]]*\$/d" | tail -n 1)
  printf '%s\n' "${line:-still at it}"
}

# step TITLE LOG COMMAND…: runs the command with its output in the log, and shows that it goes on: a line every 15 seconds, or on a terminal
# one line that counts. Returns the command's exit status.
step() {
  step_title=$1 step_log=$logs/$2
  shift 2
  mkdir -p "$logs"
  say "$step_title"
  : >"$step_log"
  ("$@") >>"$step_log" 2>&1 </dev/null &
  step_pid=$!
  trap 'kill_tree "$step_pid"; wait "$step_pid" 2>/dev/null || true; exit 130' INT TERM
  step_started=$(date +%s) step_shown=$step_started
  while kill -0 "$step_pid" 2>/dev/null; do
    sleep 0.2
    step_now=$(date +%s)
    if [ -t 2 ]; then
      [ "$step_now" = "$step_shown" ] || { printf '\r\033[K[%4ss] … %s' "$(seconds)" "$(last_line "$step_log" | cut -c1-90)" >&2; step_shown=$step_now; }
    elif [ $((step_now - step_shown)) -ge 15 ]; then
      say "  … $(last_line "$step_log" | cut -c1-110)"
      step_shown=$step_now
    fi
  done
  [ ! -t 2 ] || printf '\r\033[K' >&2
  trap - INT TERM
  step_status=0
  wait "$step_pid" || step_status=$?
  step_took=$(($(date +%s) - step_started))
  if [ $step_status != 0 ]; then
    say "  failed after $step_took s"
  elif [ $step_took -gt 1 ]; then
    say "  done in $step_took s"
  fi
  return $step_status
}
