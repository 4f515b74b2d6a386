// SPDX-License-Identifier: Apache-2.0

package flowtable

// tcpScripts are connections as they are seen between two hosts, and what has
// to become of each segment. The first six follow what the packetdrill tests of
// netfilter's connection tracking ask for.
var tcpScripts = []struct{ name, script string }{
	{"RST that is not exact closes nothing, exact closes", handshake + `
		< . 1+1000 1:      pass established
		< . 1001+1000 1:   pass established
		< . 2001+1000 1:   pass established
		> . 1 1001:        pass established
		> . 1 2001:        pass established
		> . 1 3001:        pass established
		< R 0:             pass established    # out of window
		< R 1000000:       pass established    # out of window
		< R 42:            pass established    # in the window before, not exact
		> P. 1+1000 3001:  pass established
		< . 3001 1001:     pass established
		< R. 3000 1001:    pass established    # off by one
		< R. 3001 1001:    pass reset_responder
	`},
	{"late RST after FIN passes", handshake + `
		< . 1+1000 1:      pass established
		< . 1001+2000 1:   pass established
		> . 1 3001:        pass established
		> P. 1+1000 3001:  pass established
		< F. 3001 1001:    pass fin_responder
		> . 1001 3002:     pass fin_responder
		> R. 1001 3002:    pass reset_initiator
		< R 2001:          pass reset_initiator
	`},
	{"challenge ACK in answer to a SYN passes", `
		> S 0:                       pass syn_sent
		< . 145824453 643160523:     pass syn_sent
		> R 643160523:               pass syn_sent
		> S 0:                       pass syn_sent
		< S. 0 1:                    pass syn_received
		> . 1 1:                     pass established
	`},
	{"old SYN and ACK does not confuse", `
		> S 0:                       pass syn_sent
		< S. 145824453 643160523:    pass syn_sent
		> S 0:                       pass syn_sent
		< S. 145758918 1:            pass syn_received
		> P. 1+1 145758919:          pass established
	`},
	{"port used again: challenge ACK, RST, new SYN", handshake + `
		> P. 1+100 1:   pass established
		< . 1 101:      pass established
		> S 2000:       pass established
		< . 1 101:      pass established
		> R. 101 1:     pass reset_initiator
		> S 2000:       reopen syn_sent
		< S. 9000 2001: pass syn_received
		> . 2001 9001:  pass established
	`},
	{"data that were acknowledged long ago pass", handshake + `
		> P. 1+60000 1:      pass established
		< . 1 60001:         pass established
		> P. 60001+60000 1:  pass established
		< . 1 120001:        pass established
		> P. 1+1460 1:       pass established
		< . 1 120001:        pass established
		< R 1:               pass reset_responder
	`},

	{"whole life, initiator closes first", handshake + `
		> P. 1+100 1:     pass established
		< . 1 101:        pass established
		< P. 1+200 101:   pass established
		> F. 101 201:     pass fin_initiator
		< . 201 102:      pass fin_initiator
		< P. 201+50 102:  pass fin_initiator
		> . 102 251:      pass fin_initiator
		< F. 251 102:     pass closing
		> . 102 252:      pass time_wait
		< F. 251 102:     pass time_wait
		> . 102 252:      pass time_wait
	`},
	{"whole life, responder closes first", handshake + `
		< F. 1 1:   pass fin_responder
		> . 1 2:    pass fin_responder
		> F. 1 2:   pass closing
		< . 2 2:    pass time_wait
	`},
	{"both close at once", handshake + `
		> F. 1 1:   pass fin_initiator
		< F. 1 1:   pass closing
		> . 2 2:    pass time_wait
		< . 2 2:    pass time_wait
	`},
	{"SYN sent again, answer sent again", `
		> S 0:      pass syn_sent
		> S 0:      pass syn_sent
		< S. 0 1:   pass syn_received
		< S. 0 1:   pass syn_received
		> S 0:      pass syn_received
		< S. 0 1:   pass syn_received
		> . 1 1:    pass established
		< S. 0 1:   pass established
		> . 1 1:    pass established
	`},
	{"SYN cookies: another number with each answer", `
		> S 0:          pass syn_sent
		< S. 1000000 1: pass syn_received
		> S 0:          pass syn_received
		< S. 9000000 1: pass syn_received
		> . 1 9000001:  pass established
	`},
	{"SYN sent again with another number", `
		> S 0:              pass syn_sent
		> S 5000000:        pass syn_sent
		< S. 7 1:           pass syn_sent
		< S. 7 5000001:     pass syn_received
		> . 5000001 8:      pass established
	`},
	{"fast open: data in SYN, and in the answer's wake", `
		> S 0+500:        pass syn_sent
		< S. 0 501:       pass syn_received
		< P. 1+1000 501:  pass syn_received
		> . 501 1001:     pass established
	`},
	{"fast open refused", `
		> S 0+500:        pass syn_sent
		< S. 0 1:         pass syn_received
		> P. 1+500 1:     pass established
	`},
	{"connection refused", `
		> S 100:     pass syn_sent
		< R. 0 101:  pass reset_responder
		> S 900:     reopen syn_sent
	`},
	{"RST in answer to a SYN that acknowledges something else", `
		> S 100:       pass syn_sent
		< R. 0 50:     pass syn_sent
		< R 0:         pass syn_sent
		< S. 5 101:    pass syn_received
	`},
	{"unsolicited", `
		> . 1 1:      invalid none
		< S. 0 1:     invalid none
		> F. 1 1:     invalid none
		> R 1:        invalid none
		> P. 1+5 1:   invalid none
	`},
	{"data of the responder before its SYN", `
		> S 0:         pass syn_sent
		< P. 1+10 1:   invalid syn_sent
		< F. 1 1:      invalid syn_sent
		> . 1 1:       invalid syn_sent
		> P. 1+10 1:   invalid syn_sent
		> S. 0 1:      invalid syn_sent
	`},
	{"flags that no TCP sends", handshake + `
		> 0 1:         invalid established
		> P 1:         invalid established
		> U 1:         invalid established
		> SF 1:        invalid established
		> SR 1:        invalid established
		> F 1:         invalid established
		> FPU 1:       invalid established
		> SF. 1 1:     invalid established
	`},
	{"urgent data", handshake + `
		> PU. 1+10 1:  pass established
		< . 1 11:      pass established
	`},
	{"ACK that does not complete the handshake", `
		> S 0:             pass syn_sent
		< S. 1000 1:       pass syn_received
		> . 1 500:         pass syn_received
		> P. 1+10 9999999: pass syn_received
		> F. 1 9999999:    pass syn_received
		> . 1 1001:        pass established
	`},
	{"handshake ACK lost, data complete it", `
		> S 0:         pass syn_sent
		< S. 0 1:      pass syn_received
		> P. 1+10 1:   pass established
	`},
	{"RST during the handshake", `
		> S 0:          pass syn_sent
		< S. 1000 1:    pass syn_received
		> R 5:          pass syn_received
		> R 1:          pass reset_initiator
		< . 1001 1:     pass reset_initiator
	`},
	{"half-open: responder gives up", `
		> S 0:          pass syn_sent
		< S. 1000 1:    pass syn_received
		< R 77:         pass syn_received
		< R. 1001 1:    pass reset_responder
	`},
	{"SYN inside an open flow does not reopen it", handshake + `
		> S 7777777:    pass established
		< S 8888888:    pass established
		< . 1 1:        pass established
		> P. 1+10 1:    pass established
	`},
	{"initiator's SYN and ACK never turns a flow round", handshake + `
		< S 8888888:            pass established
		> S. 555555555 8888889: invalid established
	`},
	{"host that has forgotten the connection", handshake + `
		> P. 1+10 1:             pass established
		> S 70000000:            pass established
		< S. 80000000 70000001:  pass established
		> . 70000001 80000001:   pass established
		< P. 80000001+9 70000001: pass established
		> . 70000001 80000010:   pass established
		< R 80000009:            pass established
		< R 80000010:            pass reset_responder
	`},
	{"forged answer to a SYN inside", handshake + `
		> S 70000000:            pass established
		< S. 80000000 70000000:  pass established    # acknowledges something else
		< R 80000001:            pass established
		> R 1:                   pass reset_initiator
	`},
	{"RST behind the last, unacknowledged data", handshake + `
		> P. 1+1000 1:   pass established
		> R 1001:        pass reset_initiator
	`},
	{"RST inside unacknowledged data", handshake + `
		> P. 1+1000 1:   pass established
		> R 1000:        pass established
		> R 500:         pass established
	`},
	{"forged RST: its side goes on talking", handshake + `
		> R 1:           pass reset_initiator
		> P. 1+10 1:     pass established
	`},
	{"RST, and the other side's data in flight", handshake + `
		> R 1:           pass reset_initiator
		< P. 1+1000 1:   pass reset_initiator
		< F. 1001 1:     pass reset_initiator
		> R 1:           pass reset_initiator
	`},
	{"FIN out of window", handshake + `
		> F. 900000 1:     pass established
		< F. 4000000000 1: pass established
		> F. 1 1:          pass fin_initiator
		< F. 900000 2:     pass fin_initiator
		< F. 1 2:          pass closing
	`},
	{"FIN with data, sent again", handshake + `
		> FP. 1+100 1:   pass fin_initiator
		> FP. 1+100 1:   pass fin_initiator
		< . 1 102:       pass fin_initiator
		< FP. 1+10 102:  pass closing
		< FP. 1+10 102:  pass closing
		> . 102 12:      pass time_wait
	`},
	{"FIN overtakes data", handshake + `
		> F. 2001 1:     pass fin_initiator
		> . 1+1000 1:    pass fin_initiator
		> . 1001+1000 1: pass fin_initiator
	`},
	{"RST in TIME-WAIT is ignored", handshake + `
		> F. 1 1:   pass fin_initiator
		< F. 1 2:   pass closing
		> . 2 2:    pass time_wait
		< R 2:      pass time_wait
		> S. 7 2:   invalid time_wait
		> S 5000:   reopen syn_sent
	`},
	{"initiator closes before its ACK was seen", `
		> S 0:      pass syn_sent
		< S. 0 1:   pass syn_received
		> F. 1 1:   pass fin_initiator
	`},
	{"responder closes at once", `
		> S 0:           pass syn_sent
		< S. 0 1:        pass syn_received
		< FP. 1+9 1:     pass fin_responder
		> . 1 11:        pass fin_responder
	`},
	{"simultaneous open", `
		> S 0:       pass syn_sent
		< S 500:     pass syn_crossed
		> S. 0 501:  pass syn_answered
		< S. 500 1:  pass established
		> . 1 501:   pass established
		> S. 0 501:  pass established    # sent again
		< P. 501+5 1: pass established
	`},
	{"simultaneous open, the responder is quicker", `
		> S 0:       pass syn_sent
		< S 500:     pass syn_crossed
		< S. 500 1:  pass syn_received
		> S. 0 501:  pass established
	`},
	{"split handshake with data too early", `
		> S 0:         pass syn_sent
		< S 500:       pass syn_crossed
		< P. 501+9 1:  invalid syn_crossed
		> P. 1+9 501:  invalid syn_crossed
	`},
	{"picked up in the middle, both sides heard", `
		> P. 5000+100 9000:  pass midstream
		< . 9000 5100:       pass established
		> R 5100:            pass reset_initiator
	`},
	{"picked up in the middle, one side only", `
		> . 5000 9000:            pass midstream
		> P. 5000+100 9000:       pass midstream
		< . 3000000000 4000000000: pass midstream
		> R 1:                    pass midstream
	`},
	{"answer picked up in the middle, both sides heard", `
		< P. 5000+100 9000:  pass midstream_responder
		< P. 5100+100 9000:  pass midstream_responder    # no one confirms himself
		> . 9000 5200:       pass established
		< F. 5200 9000:      pass fin_responder
	`},
	{"answer picked up in the middle, then the initiator closes", `
		< . 5000 9000:       pass midstream_responder
		> F. 9000 5000:      pass fin_initiator
		< F. 5000 9001:      pass closing
	`},
	{"answer picked up in the middle, and the initiator resets", `
		< . 5000 9000:       pass midstream_responder
		> R 9001:            pass midstream_responder
		> R 9000:            pass reset_initiator
	`},
	{"answer picked up in the middle, the initiator begins anew", `
		< . 5000 9000:       pass midstream_responder
		> S 70000:           pass midstream_responder
		> S. 70000 1:        invalid midstream_responder
		< S. 80000 70001:    pass syn_received
		> . 70001 80001:     pass established
	`},
	{"picked up in the middle, but not from these", `
		< S. 0 1:     invalid none
		> F. 1 1:     invalid none
		> R 1:        invalid none
	`},
	{"handshake that stalls ends after its time", `
		> S 0:        pass syn_sent
		wait 29
		< S. 0 1:     pass syn_received
		wait 2
		> . 1 1:      pass established
	`},
	{"SYN that nobody answers ends after its time", `
		> S 0:        pass syn_sent
		wait 1
		> S 0:        pass syn_sent
		wait 31
		< S. 0 1:     invalid none
	`},
}
