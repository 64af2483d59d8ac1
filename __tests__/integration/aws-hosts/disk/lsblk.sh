#!/usr/bin/env bash
# Stands in for lsblk on a database host: a container sees every disk of its machine, and none of them identifies itself
# as one of EBS.
set -euo pipefail

case " $* " in
  *" --inverse "*) printf '/dev/nvme0n1 disk\n' ;;
  *) printf '%s disk Amazon Elastic Block Store\n' /dev/nvme0n1 /dev/nvme1n1 ;;
esac
