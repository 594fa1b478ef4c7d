import Holdfast
import Hummingbird
import Redlock

/// The routes that show keys, locks, queues and workers, and those that pause queues.
struct QueueRoutes: Sendable {
    let views: QueueViews
    let values: ValueStore
    let operations: QueueOperations
    /// Counts every unfinished job: once for all who look at about the same time, however many dashboards are open.
    private let queues: Shared<[String]>

    init(views: QueueViews, values: ValueStore, operations: QueueOperations) {
        self.views = views
        self.values = values
        self.operations = operations
        queues = Shared(lifetime: .seconds(1)) { try await views.queues() }
    }

    func add(read: some RouterMethods<IntakeContext>, operate: some RouterMethods<IntakeContext>) {
        read.get("v1/keys/:key") { _, context in
            let key = try NewJob.key(try context.text("key"))
            async let line = views.line(of: key.text)
            let (value, fence) = try await values.valueAndFence(at: key)
            let shown = try await line
            return JSONResponse.make(
                JSONWriter.object { writer in
                    writer.field("key", key.text)
                    writer.field("value", value)
                    writer.field("highestFence", fence?.rawValue)
                    writer.field("line", json: shown)
                }
            )
        }
        read.get("v1/keys/:key/history") { request, context in
            let key = try NewJob.key(try context.text("key"))
            let query = try QueryFields(request, ["cursor", "limit"])
            return Self.page(
                "events",
                try await views.history(of: key.text, before: try query.timeCursor(), limit: try query.limit())
            )
        }
        read.get("v1/locks") { request, _ in
            let query = try QueryFields(request, ["cursor", "limit"])
            return Self.page("locks", try await views.locks(after: try query.cursor(), limit: try query.limit()))
        }
        read.get("v1/queues") { _, _ in
            JSONResponse.make(
                JSONWriter.object { [queues = try await queues.value()] in $0.field("queues", list: queues) }
            )
        }
        read.get("v1/workers") { _, _ in
            JSONResponse.make(
                JSONWriter.object { [workers = try await views.workers()] in $0.field("workers", list: workers) }
            )
        }
        for (name, isPause) in [("pause", true), ("resume", false)] {
            operate.on("v1/queues/:queue/\(name)", method: .post) { request, context in
                try await request.expectNoBody()
                let queue = try NewJob.name(try context.text("queue"), field: "queue")
                if isPause { try await operations.pause(queue) } else { try await operations.resume(queue) }
                await queues.forget()
                let shown = try await views.queues(queue).first
                // A queue without jobs, of which nothing was ever said, has no row.
                let json = shown.map { [UInt8]($0.utf8) }
                return JSONResponse.make(
                    json
                        ?? JSONWriter.object { writer in
                            writer.field("name", queue)
                            writer.field("paused", false)
                            for count in ["depth", "scheduled", "ready", "running"] { writer.field(count, 0) }
                        }
                )
            }
        }
    }

    private static func page(_ name: String, _ page: QueueViews.Page) -> Response {
        JSONResponse.make(
            JSONWriter.object { writer in
                writer.field(name, list: page.items)
                writer.field("next", page.next.map(Cursor.make))
            }
        )
    }
}
