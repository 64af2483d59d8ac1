#!/usr/bin/env bash
# npm run cluster: bundles ops/cluster-command.ts, if any of its sources has changed, and runs it.
set -euo pipefail
cd -- "$(dirname -- "$0")/.."

bundle=.cache/cluster.cjs
if [[ ! -s $bundle || -n $(find cluster.config.ts package-lock.json ops archives hosts topology -newer "$bundle" -print -quit) ]]; then
  # Built under a temporary name, so that interrupted and concurrent runs do no harm.
  trap 'rm --force "$bundle.$$"' EXIT
  node_modules/.bin/esbuild ops/cluster-command.ts --bundle --platform=node --target=node20 --external:esbuild \
    --log-level=warning --outfile="$bundle.$$"
  mv "$bundle.$$" "$bundle"
fi
exec node "$bundle" "$@"
