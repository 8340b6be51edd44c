/* arpc_msg.tbl.h - every method of aRPC: C2S from the client of a connection
 * to its server, S2C the other way. REQ is answered, NOTE is not; BOTH may be
 * either. A retired name is never given to another method. */

MSG(hello, C2S, REQ)
MSG(add, C2S, BOTH)
MSG(remove, C2S, BOTH)
MSG(set, C2S, BOTH)
MSG(toggle, C2S, BOTH)
MSG(can_add, C2S, REQ)
MSG(can_remove, C2S, REQ)
MSG(sync, C2S, REQ)
MSG(info, C2S, REQ)
MSG(when_args, C2S, REQ)
MSG(trace, C2S, REQ)
MSG(schema, C2S, REQ)
MSG(ack, C2S, NOTE)
MSG(lease_begin, C2S, REQ)
MSG(bye, ANY, NOTE)
MSG(t, S2C, NOTE)
MSG(m, S2C, NOTE)
MSG(p, S2C, NOTE)
MSG(part, S2C, NOTE)
