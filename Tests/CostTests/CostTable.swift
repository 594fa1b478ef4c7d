/// What a job costs; the tests fail when it costs more.
enum CostTable {
    static let path: [Cost] = [
    ]

    static let instructions: [Cost] = [
    ]
}
