/// What the tasks that run share with the worker's control.
package struct RunningWork: Sendable {
    let tasks = RunningTasks()
    let paused = PausedQueues()
    let progress = ProgressBoard()

    package init() {}
}
