// A client of amnode in Go, on github.com/vmihailenco/msgpack/v5.
//
// usage: client [-cut N] SOCKET|HOST:PORT [INPUT...]
//
// Leases a worker, sends it {"input": INPUT} for every argument, up to 16 at a
// time, and prints the result of each as a line of JSON. -cut N drops the connection to
// the worker N times, as a bad network would: each request still has its one
// result. The protocol is in arpc.md, whose sections are named where they count.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

const (
	request      = 0 // types of a frame, section 2
	response     = 1
	notification = 2

	resultKind   = 0     // of a payload, section 8
	maxMutation  = 65535 // their ids, section 2
	maxTries     = 8     // to reach a server again
	window       = 16    // requests at a time; a worker takes 64, section 8
	deadlineMs   = 10000 // of a request
	patience     = 60 * time.Second
	firstBackoff = 10 * time.Millisecond
)

// refused is an error response.
type refused string

func (e refused) Error() string { return string(e) }

// bye is the reason for which the server ended the connection.
type bye string

func (e bye) Error() string { return "bye: " + string(e) }

// mayComeBack is the table of section 3, for a client that gives up when its
// own frames are at fault.
func mayComeBack(err error) bool {
	var no refused
	if errors.As(err, &no) || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.Is(err, syscall.ENOENT) {
		return false // the worker is dead
	}
	var reason bye
	if !errors.As(err, &reason) {
		return true // the stream ended
	}
	switch code, _, _ := strings.Cut(string(reason), ": "); code {
	case "no_hello", "busy", "internal":
		return true
	}
	return false
}

type payload struct {
	seq    uint64
	req    uint32
	kind   uint64
	name   string
	source string
	data   any
}

// mutation is kept until its response arrives, section 14.
type mutation struct {
	id       uint32
	method   string
	states   []int
	args     any
	deadline time.Time // zero if there is none
}

// server is what a client knows of one server over all of its connections.
type server struct {
	address string
	hello   map[string]any // without resume
	resume  bool
	cuts    int // how often the connection is still to be dropped

	conn   net.Conn
	dec    *msgpack.Decoder
	epoch  uint64
	states map[string]int // ids by name

	lastMutation uint32
	lastOther    uint32
	unanswered   []*mutation     // in order
	running      map[uint32]bool // ids of requests without a result
	handled      map[uint64]bool // seqs of this epoch
	part         *payload        // its data is arriving in parts
	partData     []byte
	partBytes    uint64
}

func newServer(address string, hello map[string]any, resume bool) *server {
	return &server{
		address:   address,
		hello:     hello,
		resume:    resume,
		lastOther: maxMutation,
		running:   map[uint32]bool{},
		handled:   map[uint64]bool{},
	}
}

func (s *server) send(frame ...any) error {
	b, err := msgpack.Marshal(frame)
	if err == nil {
		_, err = s.conn.Write(b)
	}
	return err
}

func (s *server) read() ([]any, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	f, err := s.dec.DecodeSlice()
	if err != nil {
		return nil, err
	}
	if number(f[0]) == notification && f[1] == "bye" {
		reason, _ := f[2].([]any)[0].(string)
		return nil, bye(reason)
	}
	return f, nil
}

// number takes an integer of any width and sign. (The loose decoding of msgpack
// would do that, but makes strings of binary, and so of the token.)
func number(v any) uint64 {
	n := reflect.ValueOf(v)
	switch {
	case n.CanUint():
		return n.Uint()
	case n.CanInt():
		return uint64(n.Int())
	}
	return 0
}

func (s *server) nextOther() uint32 {
	s.lastOther++
	return s.lastOther
}

// nextMutation skips the ids that are taken, section 2.
func (s *server) nextMutation() uint32 {
	for {
		s.lastMutation = s.lastMutation%maxMutation + 1
		if !s.running[s.lastMutation] {
			return s.lastMutation
		}
	}
}

// connect says hello and, if this is not the first connection, resumes.
func (s *server) connect() error {
	kind := "tcp"
	if strings.Contains(s.address, "/") {
		kind = "unix"
	}
	conn, err := net.DialTimeout(kind, s.address, 5*time.Second)
	if err != nil {
		return err
	}
	s.conn = conn
	s.dec = msgpack.NewDecoder(conn)
	s.part = nil

	hello := map[string]any{"proto": 1, "id": clientID, "name": "client.go"}
	for k, v := range s.hello {
		hello[k] = v
	}
	if s.resume && s.epoch == 0 {
		hello["resume"] = map[string]any{}
	} else if s.resume {
		hello["resume"] = map[string]any{"epoch": s.epoch}
	}
	id := s.nextOther()
	if err := s.send(request, id, "hello", []any{hello}); err != nil {
		return err
	}
	f, err := s.read()
	if err != nil {
		return err
	}
	if text, ok := f[2].(string); ok {
		return refused(text)
	}
	return s.welcome(f[3].(map[string]any))
}

func (s *server) welcome(w map[string]any) error {
	s.states = map[string]int{}
	for i, row := range w["schema"].([]any) {
		s.states[row.([]any)[0].(string)] = i
	}
	known := s.epoch
	s.epoch = number(w["epoch"])
	if known == 0 {
		return nil
	}
	if resumed, _ := w["resumed"].(bool); !resumed || s.epoch != known {
		return refused("what became of the requests is unknown")
	}
	fmt.Fprintf(os.Stderr, "resumed: %d to send again\n", len(s.unanswered))
	for _, m := range s.unanswered {
		if err := s.put(m); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) put(m *mutation) error {
	params := []any{m.states, m.args}
	if !m.deadline.IsZero() {
		left := max(time.Until(m.deadline).Milliseconds(), 0)
		params = append(params, left)
	}
	return s.send(request, m.id, m.method, params)
}

// add sends a mutation. A lost connection is the business of next.
func (s *server) add(id uint32, state string, args any, ms int) (uint32, error) {
	i, ok := s.states[state]
	if !ok {
		return 0, refused("no state " + state)
	}
	m := &mutation{id: id, method: "add", states: []int{i}, args: args}
	if ms > 0 {
		m.deadline = time.Now().Add(time.Duration(ms) * time.Millisecond)
	}
	s.unanswered = append(s.unanswered, m)
	if err := s.put(m); err != nil && !mayComeBack(err) {
		return 0, err
	}
	return id, nil
}

// comeBack connects again after err, or returns the error that is final.
func (s *server) comeBack(err error) error {
	s.conn.Close()
	wait := time.Duration(0)
	for range maxTries {
		if !s.resume || !mayComeBack(err) {
			break
		}
		time.Sleep(wait)
		wait = max(2*wait, firstBackoff)
		if err = s.connect(); err == nil {
			return nil
		}
	}
	return err
}

// answer files a response; canceled mutations are errors.
func (s *server) answer(f []any) error {
	id := uint32(number(f[1]))
	for i, m := range s.unanswered {
		if m.id == id {
			s.unanswered = append(s.unanswered[:i], s.unanswered[i+1:]...)
			break
		}
	}
	if text, ok := f[2].(string); ok {
		return refused(text)
	}
	result, ok := f[3].([]any)
	if ok && number(result[0]) == 1 {
		why := "canceled"
		if len(result) > 2 {
			why = result[2].(string)
		}
		return refused(why)
	}
	return nil
}

// take makes a payload of a notification; nil if there is none yet.
func (s *server) take(method string, params []any) (*payload, error) {
	switch method {
	case "p":
		p := &payload{
			seq:    number(params[0]),
			req:    uint32(number(params[1])),
			kind:   number(params[2]),
			name:   params[3].(string),
			source: params[4].(string),
			data:   params[5],
		}
		if len(params) < 7 {
			return p, nil
		}
		s.part, s.partData, s.partBytes = p, nil, number(params[6])
	case "part":
		piece, ok := params[1].([]byte)
		if !ok || s.part == nil {
			s.part = nil // the rest will not come
			return nil, nil
		}
		s.partData = append(s.partData, piece...)
		if uint64(len(s.partData)) < s.partBytes {
			return nil, nil
		}
		p := s.part
		s.part = nil
		return p, msgpack.Unmarshal(s.partData, &p.data)
	}
	return nil, nil
}

// next returns the next payload, or nil for anything else that arrived.
func (s *server) next() (*payload, error) {
	if s.cuts > 0 {
		s.cuts--
		s.conn.Close()
	}
	f, err := s.read()
	if err != nil {
		return nil, s.comeBack(err)
	}
	if number(f[0]) == response {
		return nil, s.answer(f)
	}
	if number(f[0]) != notification {
		return nil, nil
	}
	p, err := s.take(f[1].(string), f[2].([]any))
	if p == nil || p.seq == 0 {
		return p, err
	}
	again := s.handled[p.seq]
	s.handled[p.seq] = true
	if err := s.send(notification, "ack", []any{[]uint64{p.seq}}); err != nil {
		return nil, s.comeBack(err)
	}
	if again {
		return nil, nil
	}
	return p, nil
}

// lease waits in the queue of the supervisor for a worker, section 9.
func lease(super *server) (map[string]any, error) {
	id, err := super.add(super.nextOther(), "LeaseRequested",
		map[string]any{"request": 1, "timeout_ms": 30000}, 0)
	for err == nil {
		var p *payload
		p, err = super.next()
		if p == nil || p.req != id || p.name != "ProvideWorker" {
			continue
		}
		offer := p.data.(map[string]any)
		if no, ok := offer["error"].(map[string]any); ok {
			return nil, refused(fmt.Sprint(no["code"], ": ", no["message"]))
		}
		return offer, nil
	}
	return nil, err
}

// ask sends one request.
func ask(worker *server, text string) error {
	var input any
	if err := json.Unmarshal([]byte(text), &input); err != nil {
		return err
	}
	id, err := worker.add(worker.nextMutation(), "WorkRequested",
		map[string]any{"input": input}, deadlineMs)
	worker.running[id] = true
	return err
}

// work sends all inputs and prints all results; false if one is an error.
func work(worker *server, inputs []string) (bool, error) {
	good := true
	for len(inputs) > 0 || len(worker.running) > 0 {
		for len(inputs) > 0 && len(worker.running) < window {
			if err := ask(worker, inputs[0]); err != nil {
				return false, err
			}
			inputs = inputs[1:]
		}
		p, err := worker.next()
		if err != nil {
			return false, err
		}
		if p == nil || p.kind != resultKind {
			continue
		}
		delete(worker.running, p.req)
		good = good && p.name == "result"
		line, err := json.Marshal(map[string]any{"req": p.req,
			"source": p.source, "name": p.name, "data": p.data})
		if err != nil {
			return false, err
		}
		fmt.Println(string(line))
	}
	return good, nil
}

// release gives the worker back and waits until that is answered.
func release(super *server, id any) error {
	_, err := super.add(super.nextMutation(), "ReleaseWorker",
		map[string]any{"lease": id, "reason": "released"}, 0)
	for err == nil && len(super.unanswered) > 0 {
		_, err = super.next()
	}
	return err
}

func run(address string, cuts int, inputs []string) (bool, error) {
	super := newServer(address, nil, false)
	if err := super.connect(); err != nil {
		return false, err
	}
	offer, err := lease(super)
	if err != nil {
		return false, err
	}
	worker := newServer(offer["address"].(string),
		map[string]any{"token": offer["token"]}, true)
	if err := worker.connect(); err != nil {
		return false, err
	}
	worker.cuts = cuts
	good, err := work(worker, inputs)
	if err != nil {
		return false, err
	}
	if err := release(super, offer["lease"]); err != nil {
		return false, err
	}
	for err == nil { // the worker says why it closes
		_, err = worker.next()
	}
	fmt.Fprintln(os.Stderr, err)
	return good, nil
}

// clientID has 63 bits and is not 0.
var clientID = func() int64 {
	var b [8]byte
	for {
		if _, err := io.ReadFull(rand.Reader, b[:]); err != nil {
			panic(err)
		}
		if id := int64(binary.BigEndian.Uint64(b[:]) >> 1); id != 0 {
			return id
		}
	}
}()

func main() {
	cuts := flag.Int("cut", 0, "drop the worker's connection this often")
	flag.Parse()
	if flag.NArg() < 1 {
		fmt.Fprintln(os.Stderr, "usage: client [-cut N] SOCKET|HOST:PORT [INPUT...]")
		os.Exit(2)
	}
	good, err := run(flag.Arg(0), *cuts, flag.Args()[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}
