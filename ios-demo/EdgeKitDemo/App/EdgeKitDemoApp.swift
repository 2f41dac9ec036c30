#if canImport(SwiftUI)
import SwiftUI

@main
struct EdgeKitDemoApp: App {
    @State private var model = AppModel()

    var body: some Scene {
        WindowGroup {
            Group {
                if let failure = model.failure {
                    FailureView(failure: failure)
                } else {
                    TabView {
                        TryView(model: model).tabItem { Label("Try", systemImage: "hand.draw") }
                        GoldenView(model: model).tabItem { Label("Golden inputs", systemImage: "checklist") }
                        SelfTestView(model: model).tabItem { Label("Self-test", systemImage: "checkmark.seal") }
                    }
                }
            }
            .task { await model.start() }
        }
    }
}
#endif
