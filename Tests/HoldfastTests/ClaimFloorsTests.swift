import Holdfast
import Postgres
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ClaimFloorsTests {
    private let start = ContinuousClock.now
    private let ready = PostgresTimestamp.negativeInfinity
}
