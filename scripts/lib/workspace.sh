# shellcheck shell=sh
# The workspace's own steps, shared by quickstart, test and prove. Expects: $root, $logs and terminal.sh.

# Puts the Node and pnpm of .tools first in the path where the machine has no fit ones.
use_tools() {
  export TURBO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1
  if [ -x "$root/.tools/bin/node" ]; then PATH=$root/.tools/bin:$PATH; export PATH; fi
}

install_dependencies() { step 'Installing dependencies (pnpm install)' install.log pnpm install --frozen-lockfile; }

build_workspace() { step 'Building packages and apps' build.log pnpm run build; }
