// Package tree has no code: its tests hold the source tree to what README.md, CONTRIBUTING.md and docs/architecture.md
// say of it.
package tree
