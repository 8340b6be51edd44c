#!/bin/sh
# A worker in plain sh that squares integers: input=12 -> {"input":12,"output":144}.
# Speaks am-worker(7): requests come on fd 3, answers go to fd 4, and what is
# printed goes to the log.

fail() { # fail REQ MESSAGE
	printf '{"req":%s,"error":{"code":"bad_input","message":"%s"}}\n' "$1" "$2" >&4
}

echo '{"ready":1}' >&4
while read -r line <&3; do
	case $line in
	'{"req":'*) ;;
	*) continue ;; # {"stop":...}: the end of file on fd 3 comes next
	esac
	req=${line#'{"req":'}
	req=${req%%,*}
	case $line in
	*'"input":'*)
		input=${line#*'"input":'}
		input=${input%%[,\}]*}
		;;
	*) input= ;;
	esac
	case ${input#-} in
	'' | *[!0-9]* | ??????????*) fail "$req" "input is not an integer of up to 9 digits" ;;
	*) printf '{"req":%s,"payload":{"input":%s,"output":%s}}\n' "$req" "$input" $((input * input)) >&4 ;;
	esac
done
