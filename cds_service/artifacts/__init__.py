"""Knowledge files to a checked, frozen KnowledgeBase."""
