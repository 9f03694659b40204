#!/usr/bin/env bash
# Sets network cards up for the cores that the shards run on. Prints first; --apply does it.
set -uo pipefail

usage() {
  cat <<EOF
tuning/nic.sh [--cpus LIST] [--apply] [--rings MAX|keep] [--coalesce adaptive|USECS|keep] [NIC]...

Sets network cards up for the shards' cores. Without --apply it changes nothing and prints what it
would do; what is set already is not touched. NICs: those given, or all that have a device and are
up. lo is never touched.

  --cpus LIST      the shards' cores, such as 2-5 or 0,2 (as given to corecast serve --cpus)
                   [default: all that are online]
  --apply          do it; needs root. Nothing survives a reboot: run it from a unit, before the
                   server
  --rings WHAT     ring sizes: max raises them to the card's maximum, keep leaves them [max]
  --coalesce WHAT  interrupt coalescing: adaptive, microseconds, keep [keep]
  -h, --help       this text

For each card: one queue for each core where the card has so many (ethtool -L); the interrupt of
queue i to core i; RPS over all the cores where there are fewer receive queues than cores, else off;
XPS: each core sends by its own queue; ring sizes; coalescing. Without ethtool queues, rings and
coalescing are left alone, and it says so.

Exit status: 0 done, or printed; 1 something could not be set; 2 wrong arguments.
EOF
}

APPLY=0 FAILED=0 CHANGES=0 RINGS=max COALESCE=keep CORES=() NICS=()

main() {
  local cpus=
  while (($#)); do
    case $1 in
      --cpus) cpus=$(value "$@") || exit; shift ;;
      --cpus=*) cpus=${1#*=} ;;
      --rings) RINGS=$(value "$@") || exit; shift ;;
      --rings=*) RINGS=${1#*=} ;;
      --coalesce) COALESCE=$(value "$@") || exit; shift ;;
      --coalesce=*) COALESCE=${1#*=} ;;
      --apply) APPLY=1 ;;
      -h | --help) usage; exit 0 ;;
      -*) wrong "unknown option: $1" ;;
      *) NICS+=("$1") ;;
    esac
    shift
  done
  [[ $RINGS == max || $RINGS == keep ]] || wrong "--rings is max or keep, not '$RINGS'"
  [[ $COALESCE =~ ^(adaptive|keep|[0-9]{1,6})$ ]] ||
    wrong "--coalesce is adaptive, keep or microseconds, not '$COALESCE'"
  read_cores "${cpus:-$(cat /sys/devices/system/cpu/online)}"
  if ((${#NICS[@]} == 0)); then find_nics; fi
  local nic
  for nic in ${NICS[@]+"${NICS[@]}"}; do
    [[ $nic != lo ]] || wrong "lo has no queues and no interrupts: it is never touched"
    [[ $nic != */* && -d /sys/class/net/$nic ]] || wrong "no network card named '$nic' here"
  done
  if ((APPLY)) && [[ $(id -u) != 0 ]]; then
    wrong "--apply needs root"
  fi
  set_up_all
}

# The value of an option that stands in the next argument.
value() {
  [[ -n ${2:-} ]] || wrong "$1 needs a value"
  echo "$2"
}

wrong() {
  echo "nic.sh: $1 (see --help)" >&2
  exit 2
}

# 0-3,8 becomes 0 1 2 3 8.
read_cores() {
  local part first last
  [[ $1 =~ ^[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*$ ]] ||
    wrong "--cpus is a list such as 2-5 or 0,2, not '$1'"
  for part in ${1//,/ }; do
    first=$((10#${part%-*})) last=$((10#${part#*-}))
    ((first <= last)) || wrong "--cpus: $part runs backwards"
    while ((first <= last)); do
      [[ -d /sys/devices/system/cpu/cpu$first ]] || wrong "--cpus: there is no core $first here"
      CORES+=("$first")
      first=$((first + 1))
    done
  done
}

find_nics() {
  local path
  for path in /sys/class/net/*; do
    if [[ -e $path/device && $(cat "$path/operstate" 2>/dev/null) != down ]]; then
      NICS+=("${path##*/}")
    fi
  done
}

set_up_all() {
  if ((${#NICS[@]} == 0)); then
    echo "no network card with a device here: nothing to do"
    return
  fi
  command -v ethtool >/dev/null ||
    echo "# ethtool is not installed: queues, rings and coalescing are left alone"
  if pgrep -x irqbalance >/dev/null 2>&1; then
    echo "# irqbalance runs and moves interrupts back: systemctl disable --now irqbalance"
  fi
  local nic
  for nic in "${NICS[@]}"; do
    echo "# $nic, for cores ${CORES[*]}"
    set_channels "$nic"
    set_irqs "$nic"
    set_rps "$nic"
    set_xps "$nic"
    set_rings "$nic"
    set_coalescing "$nic"
  done
  if ((APPLY == 0 && CHANGES > 0)); then
    echo "# nothing was changed: --apply does it"
  elif ((CHANGES == 0)); then
    echo "# all is set already"
  fi
  exit $((FAILED > 0))
}

# Writes value $2 to file $1, if it is another one now.
put() {
  local file=$1 value=$2 now
  now=$(cat "$file" 2>/dev/null) || return 0
  [[ $(plain "$now" "$file") != "$(plain "$value" "$file")" ]] || return 0
  CHANGES=$((CHANGES + 1))
  echo "echo $value > $file"
  ((APPLY)) || return 0
  # The shell's own complaint would name a line of this script.
  if ! { echo "$value" > "$file"; } 2>/dev/null; then
    echo "nic.sh: $file does not take $value" >&2
    FAILED=$((FAILED + 1))
  fi
}

# A mask without the zeros in front: 00000000,00000003 is 3. A list stays as it is.
plain() {
  local mask=$1
  [[ $2 != *_cpus ]] || mask=${mask//,/}
  while [[ $mask == 0?* ]]; do mask=${mask#0}; done
  echo "$mask"
}

# Runs ethtool; a card that refuses is told and is no reason to stop.
run_ethtool() {
  CHANGES=$((CHANGES + 1))
  echo "ethtool $*"
  ((APPLY)) || return 0
  if ! ethtool "$@"; then
    echo "nic.sh: ethtool $* failed" >&2
    FAILED=$((FAILED + 1))
  fi
}

# The mask of the given cores, in groups of 32 bits: 2 33 is 2,00000004.
mask_of() {
  local groups=() core index text=
  for core in "$@"; do
    index=$((core / 32))
    while ((${#groups[@]} <= index)); do groups+=(0); done
    groups[index]=$((groups[index] | 1 << (core % 32)))
  done
  for ((index = ${#groups[@]} - 1; index >= 0; index--)); do
    if [[ -z $text ]]; then
      text=$(printf '%x' "${groups[index]}")
    else
      text+=$(printf ',%08x' "${groups[index]}")
    fi
  done
  echo "${text:-0}"
}

# Field $3 of section $2 (Pre-set, Current) in what `ethtool $1 NIC` says; empty if there is none.
ethtool_number() {
  ethtool "$1" "$4" 2>/dev/null |
    awk -v section="$2" -v field="$3:" '
      /:$/ { inside = index($0, section) == 1 }
      inside && index($0, field) == 1 && $NF ~ /^[0-9]+$/ { print $NF; exit }'
}

set_channels() {
  local most now wanted=${#CORES[@]}
  command -v ethtool >/dev/null || return 0
  most=$(ethtool_number -l Pre-set Combined "$1")
  now=$(ethtool_number -l Current Combined "$1")
  [[ -n $most && -n $now ]] || return 0
  ((wanted <= most)) || wanted=$most
  if ((now < wanted)); then run_ethtool -L "$1" combined "$wanted"; fi
}

# Numbers of the interrupts of a card's queues: those that its device owns, or that bear its name.
queue_irqs() {
  local device path owned=' '
  device=$(basename "$(readlink "/sys/class/net/$1/device" 2>/dev/null)")
  for path in "/sys/class/net/$1/device/msi_irqs/"*; do owned+="${path##*/} "; done
  awk -v nic="$1" -v device="$device" -v owned="$owned" '
    $1 ~ /^[0-9]+:$/ {
      number = $1; sub(":", "", number); label = $NF
      own = index(owned, " " number " ") > 0
      own = own || (device != "" && index(label, device "-") == 1)
      count = split(label, part, /[-@]/)
      for (i = 1; i <= count; i++) own = own || part[i] == nic
      control = tolower(label) ~ /config|event|async|mgm|ctrl|control|misc|admin|link|fdir/
      if (own && !control) print number, label
    }' /proc/interrupts
}

# The n-th receiving interrupt goes to the n-th core, and so does the n-th sending one.
set_irqs() {
  local number label receiving=0 sending=0 nth
  while read -r number label; do
    if [[ ${label,,} =~ (tx|output) && ! ${label,,} =~ rx ]]; then
      nth=$sending sending=$((sending + 1))
    else
      nth=$receiving receiving=$((receiving + 1))
    fi
    put "/proc/irq/$number/smp_affinity_list" "${CORES[nth % ${#CORES[@]}]}"
  done < <(queue_irqs "$1")
}

# The queues of a kind, rx or tx, in the order of their numbers.
queues() {
  local path
  for path in "/sys/class/net/$1/queues/$2-"*; do
    [[ ! -d $path ]] || echo "$path"
  done | sort -V
}

set_rps() {
  local all=() queue mask=0
  mapfile -t all < <(queues "$1" rx)
  if ((${#all[@]} < ${#CORES[@]})); then mask=$(mask_of "${CORES[@]}"); fi
  for queue in ${all[@]+"${all[@]}"}; do put "$queue/rps_cpus" "$mask"; done
}

set_xps() {
  local all=() own=() index core
  mapfile -t all < <(queues "$1" tx)
  # The kernel takes no mask where there is nothing to choose.
  ((${#all[@]} > 1)) || return 0
  for index in "${!all[@]}"; do
    own=()
    for core in "${!CORES[@]}"; do
      ((core % ${#all[@]} != index)) || own+=("${CORES[core]}")
    done
    put "${all[index]}/xps_cpus" "$(mask_of ${own[@]+"${own[@]}"})"
  done
}

set_rings() {
  local kind most now
  [[ $RINGS == max ]] && command -v ethtool >/dev/null || return 0
  for kind in RX TX; do
    most=$(ethtool_number -g Pre-set "$kind" "$1")
    now=$(ethtool_number -g Current "$kind" "$1")
    if [[ -n $most && -n $now ]] && ((now < most)); then
      run_ethtool -G "$1" "${kind,,}" "$most"
    fi
  done
}

set_coalescing() {
  [[ $COALESCE != keep ]] && command -v ethtool >/dev/null || return 0
  local state
  if ! state=$(ethtool -c "$1" 2>/dev/null); then
    echo "# $1 has no coalescing to set"
  elif [[ $COALESCE == adaptive ]]; then
    [[ $state == *"Adaptive RX: on"* ]] || run_ethtool -C "$1" adaptive-rx on
  elif ! grep -q "^rx-usecs:[[:space:]]*$COALESCE$" <<< "$state"; then
    run_ethtool -C "$1" rx-usecs "$COALESCE"
  fi
}

main "$@"
