import FaultChecking
import Testing

struct RecordTests {
    @Test func `a trace is read as it was written, without a last line that was cut off`() {
        let events = [
            TraceEvent(.begun, process: 7, job: 1, fence: 2, atNanoseconds: 3, key: "a b"),
            TraceEvent(.refused, process: 8, job: 4, fence: 5, atNanoseconds: 6, isStubborn: true, key: "k"),
        ]
        let text = events.map(\.line).joined()
        #expect(TraceEvent.parse(text) == events)
        #expect(TraceEvent.parse(String(text.dropLast(2))) == [events[0]])
        #expect(TraceEvent.parse("") == [])
    }

    @Test func `fenced writes are read from a node's log, up to where it was cut off`() {
        let select = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
        let write =
            "#TS:1700000000\r\n*5\r\n$4\r\nmset\r\n$1\r\nk\r\n$3\r\na\r\n\r\n$16\r\nholdfast:fence:k\r\n$2\r\n12\r\n"
        let expected = ValueWrite(key: "k", value: "a\r\n", fence: 12)
        #expect(ValueLog.writes(in: Array((select + write + select + write).utf8)) == [expected, expected])
        for cut in 1..<write.utf8.count {
            #expect(ValueLog.writes(in: Array((write + write).utf8.dropLast(cut))) == [expected])
        }
        #expect(ValueLog.writes(in: Array("*5\r\n$-3\r\n".utf8)) == [])
    }
}
