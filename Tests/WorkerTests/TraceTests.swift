import Holdfast
import InMemoryTracing
import Logging
import TestSupport
import Testing
import Tracing
import Worker

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct TraceTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let parent = "00f067aa0ba902b7"

    /// Runs a job of a trace to its end.
    private func spans(
        of handler: Scripted,
        _ change: @escaping @Sendable (inout NewJob) -> Void = { $0.traceparent = "00-\(trace)-\(parent)-01" }
    ) async throws -> [FinishedInMemorySpan] {
        let tracer = TestTracer()
        try await withTracer(tracer) {
            try await TestWorkers.with { (workers) async throws in
                try await workers.withWorker(handler) {
                    let id = try await workers.submit("k", 0, change)
                    _ = try await workers.outcome(of: id)
                    // The settle's own span ends a moment after the job is seen to be over.
                    while !tracer.spans.contains(where: { $0.operationName == "settle" }) {
                        try await Task.sleep(for: .milliseconds(10))
                    }
                }
            }
        }
        return tracer.spans
    }

    private func only(_ name: String, of spans: [FinishedInMemorySpan]) throws -> FinishedInMemorySpan {
        let named = spans.filter { $0.operationName == name }
        #expect(named.count == 1, "\(name)")
        return try #require(named.first)
    }

    @Test func `a job's spans belong to its submitter's trace, and the task's own to the task`() async throws {
        let handler = Scripted { _, _ in withSpan("inner") { _ in } }
        let spans = try await spans(of: handler)
        #expect(spans.allSatisfy { $0.traceID == Self.trace })
        let submit = try only("submit", of: spans)
        let attempt = try only("attempt", of: spans)
        let acquire = try only("acquire", of: spans)
        let task = try only("task", of: spans)
        let inner = try only("inner", of: spans)
        let settle = try only("settle", of: spans)
        let claim = try only("claim", of: spans)
        #expect(submit.parentSpanID == Self.parent && submit.kind == .producer)
        #expect(attempt.parentSpanID == submit.spanID && attempt.kind == .consumer)
        #expect(acquire.parentSpanID == attempt.spanID && task.parentSpanID == attempt.spanID)
        #expect(inner.parentSpanID == task.spanID)
        #expect(settle.parentSpanID == attempt.spanID)
        #expect(claim.parentSpanID == submit.spanID && claim.kind == .consumer)
        #expect(claim.endInstant.nanosecondsSinceEpoch <= attempt.startInstant.nanosecondsSinceEpoch)
        #expect(attempt.attributes["holdfast.outcome"]?.toSpanAttribute() == "succeeded")
        #expect(attempt.status == nil)
    }

    @Test func `a claim of several jobs is linked to all of them, and the settle to their attempts`() async throws {
        let tracer = TestTracer()
        try await withTracer(tracer) {
            try await TestWorkers.with { (workers) async throws in
                var last: JobID?
                for _ in 0..<3 { last = try await workers.submit("k") { $0.duration = .zero } }
                let jobs = try #require(last)
                try await workers.withWorker(Scripted { _, _ in }) {
                    _ = try await workers.outcome(of: jobs)
                    while tracer.spans.count(where: { $0.operationName == "settle" }) == 0 {
                        try await Task.sleep(for: .milliseconds(10))
                    }
                }
            }
        }
        let spans = tracer.spans
        let submitted = spans.filter { $0.operationName == "submit" }.map(\.spanID)
        let attempts = Set(spans.filter { $0.operationName == "attempt" }.map(\.spanID))
        #expect(submitted.count == 3 && attempts.count == 3)
        let claim = try only("claim", of: spans)
        #expect(claim.attributes["holdfast.jobs"]?.toSpanAttribute() == 3)
        #expect([claim.parentSpanID] + claim.links.map(\.context.inMemorySpanContext?.spanID) == submitted)
        // The run may be settled in parts.
        let settled = spans.filter { $0.operationName == "settle" }
            .flatMap { [$0.parentSpanID] + $0.links.map(\.context.inMemorySpanContext?.spanID) }
        #expect(settled.count == 3 && Set(settled.compactMap(\.self)) == attempts)
    }

    @Test func `a job without a trace begins one, and a failed attempt says why`() async throws {
        let handler = Scripted { _, _ in throw TaskEnd.failed("broken") }
        let spans = try await spans(of: handler) { $0.traceparent = nil }
        let submit = try only("submit", of: spans)
        let attempt = try only("attempt", of: spans)
        #expect(submit.parentSpanID == nil && attempt.traceID == submit.traceID)
        #expect(attempt.attributes["holdfast.outcome"]?.toSpanAttribute() == "failed")
        #expect(attempt.status?.message == "broken")
        #expect(try only("task", of: spans).errors.count == 1)
    }

    @Test func `without a tracer what the submitter sent is handed on as it is`() async throws {
        let sent = "00-\(Self.trace)-\(Self.parent)-01"
        try await TestWorkers.with { (workers) async throws in
            let (seen, see) = AsyncStream.makeStream(of: String?.self)
            try await workers.withWorker(Scripted { _, context in see.yield(context.traceparent) }) {
                _ = try await workers.submit("k") { $0.traceparent = sent }
                for await traceparent in seen {
                    #expect(traceparent == sent)
                    break
                }
            }
        }
    }

    @Test(arguments: [
        "", "00-\(trace)-\(parent)", "00-\(trace)-\(parent)-0g", "ff-\(trace)-\(parent)-01",
        "00-00000000000000000000000000000000-\(parent)-01", "00-\(trace)-0000000000000000-01",
        "00-\(trace.uppercased())-\(parent)-01",
    ])
    func `what is no trace context is as none`(text: String) {
        #expect(TraceParent(text) == nil)
    }
}
