import InMemoryLogging
import Logging
import Testing

@testable import Worker

struct TroubleNoticeTests {
    @Test func `what is amiss is told of once it has lasted, then once a minute, and that it is over`() {
        let handler = InMemoryLogHandler()
        let logger = Logger(label: "test") { _ in handler }
        var notice = TroubleNotice("jobs wait", isOver: "jobs run")
        let start = ContinuousClock.now
        notice.note("r1 is away", logger, at: start)
        notice.note("r1 is away", logger, at: start.advanced(by: .milliseconds(60)))
        notice.note(nil, logger, at: start.advanced(by: .milliseconds(70)))
        #expect(handler.entries.isEmpty)
        for seconds in 10...100 { notice.note("r1 is away", logger, at: start.advanced(by: .seconds(seconds))) }
        notice.note(nil, logger, at: start.advanced(by: .seconds(101)))
        #expect(handler.entries.map(\.level) == [.warning, .warning, .info])
        #expect(handler.entries[0].metadata["error"] == "r1 is away")
    }
}
