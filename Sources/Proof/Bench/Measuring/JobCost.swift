/// Processor time of a job, in us, by the kind of process that spends it.
struct JobCost: Sendable {
    let worker: Double
    let postgres: Double
    let redis: Double

    static func - (left: JobCost, right: JobCost) -> JobCost {
        JobCost(
            worker: left.worker - right.worker,
            postgres: left.postgres - right.postgres,
            redis: left.redis - right.redis
        )
    }

    static func / (cost: JobCost, jobs: Double) -> JobCost {
        JobCost(worker: cost.worker / jobs, postgres: cost.postgres / jobs, redis: cost.redis / jobs)
    }
}
