# shellcheck shell=sh
# Reads apt's sources in both their formats: one line each (*.list) and deb822 (*.sources).

# apt_sources FOLDER: "URI SUITE" of each enabled binary source below that folder, which is /etc/apt on a real machine.
apt_sources() {
  for file in "$1"/sources.list "$1"/sources.list.d/*.list; do
    [ -e "$file" ] || continue
    sed -n 's/^[[:space:]]*deb[[:space:]][[:space:]]*\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\)[[:space:]][[:space:]]*\([^[:space:]]*\).*/\2 \3/p' "$file"
  done
  for file in "$1"/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk '
      function flush(  i, j, n, m, u, s) {
        if ((" " field["types"] " ") ~ / deb / && tolower(field["enabled"]) != "no") {
          n = split(field["uris"], u, " "); m = split(field["suites"], s, " ")
          for (i = 1; i <= n; i++) for (j = 1; j <= m; j++) print u[i], s[j]
        }
        split("", field); name = ""
      }
      /^#/ { next }
      /^[[:space:]]*$/ { flush(); next }
      /^[[:space:]]/ { if (name != "") field[name] = field[name] " " $0; next }
      { at = index($0, ":"); name = tolower(substr($0, 1, at - 1)); value = substr($0, at + 1); gsub(/[[:space:]]+/, " ", value); sub(/^ /, "", value); sub(/ $/, "", value); field[name] = value }
      END { flush() }' "$file"
  done
}

# apt_mirror PATTERN [FOLDER]: the URI of the first source whose suite matches, without a slash at its end; nothing where there is none.
apt_mirror() {
  apt_sources "${2:-/etc/apt}" | awk -v pattern="$1" '$2 ~ pattern && !found { sub(/\/$/, "", $1); print $1; found = 1 }'
}
