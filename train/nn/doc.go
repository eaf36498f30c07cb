// Package nn holds tandem's networks: their layers, their parameters, and the ONNX file that a trained one becomes.
//
// A network is written once, in terms of the interface ops (ops.go): the default one in net.go, that of Chae et al.
// 2018 in paper.go. Two types read it:
//
//   - GraphOps (ops_graph.go, paper_graph.go) builds the GoMLX graph that training differentiates;
//   - onnxOps (ops_onnx.go, paper_onnx.go) writes the nodes of the exported file.
//
// A third, layout (layout.go), only lists the parameters. Export writes a file, FromModel reads one back, Ensemble puts
// several side by side.
//
// Of tandem's packages it imports infer, for the contract of the exported file, pipeline and capture.
package nn
