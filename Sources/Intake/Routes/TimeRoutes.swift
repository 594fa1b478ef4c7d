import Holdfast
import Hummingbird
import Postgres

/// The routes that show a span of time, over all keys.
struct TimeRoutes: Sendable {
    /// The longest span.
    private static let longest: Duration = .seconds(7200)

    let views: QueueViews
    private let throughput: Shared<[String]>

    init(views: QueueViews) {
        self.views = views
        let throughput = Throughput(views: views)
        self.throughput = Shared(lifetime: .seconds(2)) { try await throughput.queues() }
    }

    func add(read: some RouterMethods<IntakeContext>) {
        read.get("v1/history") { request, _ in
            let query = try QueryFields(request, ["since", "until", "key", "cursor", "limit"])
            let (since, until) = try Self.span(query)
            let page = try await views.history(
                since: since,
                until: until,
                key: try query.text("key"),
                before: try query.timeCursor(),
                limit: try query.limit()
            )
            return JSONResponse.make(
                JSONWriter.object(capacity: 512 * page.items.count) { writer in
                    writer.field("events", list: page.items)
                    writer.field("next", page.next.map(Cursor.make))
                }
            )
        }
        read.get("v1/waits") { request, _ in
            let query = try QueryFields(request, ["since", "until", "key", "limit"])
            let (since, until) = try Self.span(query)
            // First, so that what it says has happened by then.
            let now = try await views.clock().rfc3339()
            let (unfinished, finished) = try await views.waits(
                since: since,
                until: until,
                key: try query.text("key"),
                limit: try query.limit()
            )
            return JSONResponse.make(
                JSONWriter.object(capacity: 256 * (unfinished.count + finished.count)) { writer in
                    writer.field("now", now)
                    writer.field("unfinished", list: unfinished)
                    writer.field("finished", list: finished)
                }
            )
        }
        read.get("v1/throughput") { _, _ in
            let queues = try await throughput.value()
            return JSONResponse.make(
                JSONWriter.object { writer in
                    writer.field("stepSeconds", Int(Throughput.stepSeconds))
                    writer.field("queues", list: queues)
                }
            )
        }
    }

    private static func span(_ query: QueryFields) throws -> (since: PostgresTimestamp, until: PostgresTimestamp) {
        guard let since = try query.time("since") else { throw InvalidField("since", "is missing") }
        guard let until = try query.time("until") else { throw InvalidField("until", "is missing") }
        guard since < until, until.microseconds - since.microseconds <= Int64(longest / .microseconds(1)) else {
            throw InvalidField("until", "must be after since, by at most 2 hours")
        }
        return (since, until)
    }
}
