"""What several formats share: words, selection and order, areas and lanes, sections, style."""
