// Stands in a bundle for what a dependency loads and we never use.
export default {};
