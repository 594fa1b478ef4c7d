import CoreMetrics
import HTTPTypes
import Synchronization

/// Counts requests by route: never by path, which clients make up.
final class RequestMetrics: Sendable {
    private struct Kind: Hashable {
        let method: String
        let route: String?
        let status: Int
    }

    private struct Handlers {
        let count: Counter
        let time: Timer
    }

    private static let methods: Set = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    private let known = Mutex<[Kind: Handlers]>([:])

    /// - Parameters:
    ///   - method: One that is not usual is counted as `other`.
    ///   - route: As the router spells it; `nil` when there is none.
    ///   - status: The answer's.
    ///   - time: Until the answer began.
    func count(_ method: HTTPRequest.Method, _ route: String?, _ status: HTTPResponse.Status, after time: Duration) {
        let isUsual = Self.methods.contains(method.rawValue)
        let kind = Kind(method: isUsual ? method.rawValue : "other", route: route, status: status.code)
        // Kept: to look one up by its labels costs more than to count.
        let handlers = known.withLock { known in
            if let handlers = known[kind] { return handlers }
            let handlers = Self.make(kind)
            known[kind] = handlers
            return handlers
        }
        handlers.count.increment()
        handlers.time.recordNanoseconds(Int64(time / .nanoseconds(1)))
    }

    private static func make(_ kind: Kind) -> Handlers {
        let route = ("route", kind.route.map(RouteNames.openAPI) ?? "none")
        return Handlers(
            count: Counter(
                label: "holdfast_http_requests_total",
                dimensions: [("method", kind.method), route, ("status", "\(kind.status)")]
            ),
            time: Timer(
                label: "holdfast_http_request_seconds",
                dimensions: [route],
                preferredDisplayUnit: .seconds
            )
        )
    }
}
