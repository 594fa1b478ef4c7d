import AsyncHTTPClient
import Holdfast
import InMemoryTracing
import Intake
import NIOCore
import NIOHTTP1
import Postgres
import Redis
import TestSupport
import Testing
import Tracing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct IntakeTraceTests {
    @Test func `a request's span belongs to its client's trace, and the submission's to it`() async throws {
        let tracer = TestTracer()
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        try await withTracer(tracer) {
            let pool = FreshDatabase.current.pool
            var configuration = IntakeConfiguration()
            configuration.port = 0
            configuration.access = .open
            let (ports, port) = AsyncStream.makeStream(of: Int.self)
            let intake = Intake(
                configuration: configuration,
                pool: pool,
                values: ValueStore(node: RedisNode(try RedisEndpoint("redis://127.0.0.1:1"), logger: .quiet)),
                lockNodes: [],
                logger: .quiet,
                onListening: { port.yield($0) }
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await intake.run() }
                for await port in ports {
                    let body = #"{"key":"k","value":"v"}"#
                    var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)/v1/jobs")
                    request.method = .POST
                    request.headers.add(name: "traceparent", value: "00-\(trace)-00f067aa0ba902b7-01")
                    request.body = .bytes(ByteBuffer(string: body))
                    // One of its own: the shared one would keep this test's tracer, and this one must not have it.
                    var client = HTTPClient.Configuration()
                    client.tracing.tracer = nil
                    try await HTTPClient.withHTTPClient(configuration: client) { [request] client in
                        let response = try await client.execute(request, timeout: .seconds(60))
                        #expect(response.status == .accepted)
                    }
                    break
                }
                while !tracer.spans.contains(where: { $0.kind == .server }) {
                    try await Task.sleep(for: .milliseconds(10))
                }
                group.cancelAll()
            }
        }
        let request = try #require(tracer.spans.first { $0.kind == .server })
        let submit = try #require(tracer.spans.first { $0.operationName == "submit" })
        #expect(request.traceID == trace && request.parentSpanID == "00f067aa0ba902b7")
        #expect(submit.traceID == trace && submit.parentSpanID == request.spanID)
        let job = try #require(try await FreshDatabase.current.store.list(JobFilter()).first)
        #expect(job.traceparent == "00-\(trace)-\(submit.spanID)-01")
    }
}
