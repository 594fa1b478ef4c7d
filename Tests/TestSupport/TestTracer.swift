package import InMemoryTracing
package import Tracing

/// Keeps spans in memory, and hands traces on as W3C Trace Context has them.
package struct TestTracer: Tracer {
    private let memory: InMemoryTracer

    package init() {
        memory = InMemoryTracer(
            idGenerator: InMemoryTracer.IDGenerator(
                nextTraceID: { Self.digits() + Self.digits() },
                nextSpanID: { Self.digits() }
            )
        )
    }

    /// The spans that have ended, in the order of their ends.
    package var spans: [FinishedInMemorySpan] { memory.finishedSpans }

    private static func digits() -> String {
        let text = String(UInt64.random(in: 1 ... .max), radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    package func startSpan<Instant: TracerInstant>(
        _ operationName: String,
        context: @autoclosure () -> ServiceContext,
        ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant,
        function: String,
        file fileID: String,
        line: UInt
    ) -> InMemorySpan {
        memory.startSpan(
            operationName,
            context: context(),
            ofKind: kind,
            at: instant(),
            function: function,
            file: fileID,
            line: line
        )
    }

    package func forceFlush() {}

    package func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext,
        into carrier: inout Carrier,
        using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let span = context.inMemorySpanContext else { return }
        injector.inject("00-\(span.traceID)-\(span.spanID)-01", forKey: "traceparent", into: &carrier)
    }

    package func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier,
        into context: inout ServiceContext,
        using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let text = extractor.extract(key: "traceparent", from: carrier) else { return }
        let parts = text.split(separator: "-").map(String.init)
        guard parts.count == 4 else { return }
        memory.extract(
            [InMemoryTracer.traceIDKey: parts[1], InMemoryTracer.spanIDKey: parts[2]],
            into: &context,
            using: Fields()
        )
    }

    private struct Fields: Extractor {
        func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    }
}
