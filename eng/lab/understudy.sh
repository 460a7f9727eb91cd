#!/bin/bash
# ./lab understudy WORDS...: a command of Understudy, to the lab's vault.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$LAB_ROOT/eng/lab/product.sh"

need_root
need_up
[ -x "$LAB_PRODUCT/understudy" ] || die 'the lab has no Understudy in it: ./lab up'
understudy "$@"
