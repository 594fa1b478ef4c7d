import HTTPTypes
import Holdfast
import Hummingbird
import NIOCore

/// `GET /v1/events`: lock events as they happen, as Server-Sent Events.
///
/// - Source: WHATWG HTML, section 9.2.
struct EventRoutes: Sendable {
    private static let pageSize = 1000
    /// Tells a proxy (nginx) to pass each event on, and not to wait for more.
    private static let accelBuffering = HTTPField.Name("X-Accel-Buffering")!  // A valid name.
    private static let lastEventID = HTTPField.Name("Last-Event-ID")!  // A valid name.

    let tailer: EventTailer

    func add(read: some RouterMethods<IntakeContext>) {
        read.get("v1/events") { request, context in
            let query = try QueryFields(request, ["key", "job"])
            let key = try query.text("key")
            let job = try query.integer("job", in: 1...Int64.max).map(JobID.init)
            var last: Int64?
            if let text = request.headers[Self.lastEventID] {
                guard let number = Int64(text), number >= 0 else {
                    throw InvalidField("Last-Event-ID", "must be the id of an event")
                }
                last = number
            }
            let subscription = try await tailer.subscribe(key: key, job: job, client: context.client)
            let body = ResponseBody { [last] writer in
                try await writer.write(ByteBuffer(string: ": the events of the lock history\n\n"))
                // What a listener missed before it came back.
                var next = last
                while let after = next, after < subscription.position {
                    let events = try await missed(after: after, upTo: subscription.position, key, job)
                    for event in events { try await writer.write(Self.frame(event)) }
                    next = events.count == Self.pageSize ? events.last?.id : nil
                }
                OpenConnection.whenGone(subscription.end)
                for await message in subscription.messages {
                    switch message {
                    case .event(let event): try await writer.write(Self.frame(event))
                    case .keepAlive: try await writer.write(ByteBuffer(string: ": nothing has happened\n\n"))
                    }
                }
                try await writer.finish(nil)
            }
            return Response(
                status: .ok,
                headers: [.contentType: "text/event-stream", Self.accelBuffering: "no"],
                body: body
            )
        }
    }

    private func missed(
        after last: Int64,
        upTo position: Int64,
        _ key: String?,
        _ job: JobID?
    ) async throws -> [ShownEvent] {
        try await tailer.reader.events(after: last, upTo: position, key: key, job: job, limit: Self.pageSize)
    }

    private static func frame(_ event: ShownEvent) -> ByteBuffer {
        ByteBuffer(string: "id: \(event.id)\nevent: \(event.name)\ndata: \(event.json)\n\n")
    }
}
