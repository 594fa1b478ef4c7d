import InMemoryLogging
import Logging
import Testing

@testable import Worker

struct QuorumNoticeTests {
    @Test func `a missing quorum is told of once it has lasted, and that it is back only then`() {
        let handler = InMemoryLogHandler()
        let logger = Logger(label: "test") { _ in handler }
        var notice = QuorumNotice()
        let start = ContinuousClock.now
        notice.note(false, logger, at: start)
        notice.note(false, logger, at: start.advanced(by: .milliseconds(60)))
        notice.note(true, logger, at: start.advanced(by: .milliseconds(70)))
        #expect(handler.entries.isEmpty)
        for seconds in 10...13 { notice.note(false, logger, at: start.advanced(by: .seconds(seconds))) }
        notice.note(true, logger, at: start.advanced(by: .seconds(14)))
        #expect(handler.entries.map(\.level) == [.warning, .info])
    }
}
