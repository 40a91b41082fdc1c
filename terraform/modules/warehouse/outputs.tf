output "dataset_id" {
  description = "Name of the dataset. Known once its tables are there and its writers may write."
  value       = google_bigquery_dataset.this.dataset_id
  depends_on  = [google_bigquery_table.this, google_bigquery_table_iam_member.writers]
}

output "views" {
  description = "Names of the views that analysts start from."
  value       = keys(local.views)
}

output "erasers" {
  description = "Who may delete rows about a person, by member and table."
  value       = { for key, grant in google_bigquery_table_iam_member.erasers : key => grant.member }
}
