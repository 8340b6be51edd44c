#!/bin/sh
# A msgpack-rpc client that knows nothing of amnode: neovim's.
# shellcheck disable=SC2016
. "${0%/*}/lib.sh"

if ! command -v nvim >/dev/null; then
	echo "1..0 # SKIP nvim is not installed (apt-get install neovim)"
	exit 0
fi
export XDG_CONFIG_HOME="$T_DIR" XDG_DATA_HOME="$T_DIR" XDG_STATE_HOME="$T_DIR" XDG_CACHE_HOME="$T_DIR"
vim() { # vim MODE ADDRESS: of the functions below
	timeout 20 nvim --headless -u NONE -i NONE -n --cmd "let g:mode = '$1' | let g:address = '$2'" -S "$T_DIR/client.vim"
}
cat >"$T_DIR/client.vim" <<'EOT'
function Say(...)
  call writefile([join(a:000)], '/dev/stdout', 'a')
endfunction

function Id(name)
  return index(map(copy(g:welcome.schema), 'v:val[0]'), a:name)
endfunction

function Main()
  let ch = sockconnect(g:mode, g:address, {'rpc': v:true})
  let g:welcome = rpcrequest(ch, 'hello', {'proto': 1, 'id': 4711, 'name': 'nvim'})
  call Say('welcome', g:welcome.proto, g:welcome.states, len(g:welcome.schema), len(g:welcome.time))
  let list = Id('ListWorkers')
  let before = g:welcome.time[list]
  let [result, update] = rpcrequest(ch, 'add', [list])
  call Say('add', result)
  let clock = rpcrequest(ch, 'sync')
  call Say('ListWorkers', clock.time[list] - before, 'PoolReady', clock.time[Id('PoolReady')] % 2)
  let sum = clock.q + clock.m
  for tick in clock.time
    let sum += tick
  endfor
  call Say('queue', clock.q > g:welcome.q, 'sum', sum > 0)
  try
    call rpcrequest(ch, 'add', [Id('Start')])
  catch
    call Say('error', v:exception)
  endtry
  call Say('status', rpcrequest(ch, 'info', 'status').instance)
  call rpcnotify(ch, 'add', [list])
  call Say('ListWorkers', rpcrequest(ch, 'sync').time[list] - before)
  call rpcnotify(ch, 'bye', 'done')
endfunction

try
  call Main()
  qall!
catch
  call Say('failed:', v:exception, v:throwpoint)
  cquit
endtry
EOT

port=$(free_port)
for mode in pipe tcp; do
	case $mode in pipe) address=$RUN/sock ;; tcp) address=127.0.0.1:$port ;; esac
	start Pool.Min=1 Pool.Warm=0 "Supervisor.Listen=$address"
	AMCTL_SOCKET=$address
	pool_ready
	ok "nvim by $mode" vim $mode "$address"
	out 'welcome 1 '
	out 'add 0'
	out 'ListWorkers 2 PoolReady 1'
	out 'queue 1 sum 1'
	out 'not_permitted'
	out 'status t'
	out 'ListWorkers 4'
	until_ok 5000 no_leases
	stop
	result $? "amnoded stops"
done
finish
